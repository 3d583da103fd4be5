//! Opens what the kills left, lets everything end, and compares it with what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bifrost::audit::{AuditEntry, verify_export};
use bifrost::connection::{Cause, ConnectionState};
use bifrost::execution::ExecutionState;
use bifrost::store::chain::Head;
use bifrost::store::key::Scope;
use bifrost::{ExecutionId, Hub, Tenant};
use tokio::time::sleep;

use super::child::run;
use super::claims::Claims;
use super::compare;
use super::peer::Peer;
use super::platforms::{FORGIVING, Platforms, STRICT, TENANTS};
use super::said::{Mouth, Said};
use super::site::{self, Site};
use super::work::{self, Order, label};
use crate::findings::Findings;

/// How long after opening an execution may be without an end and without an owner.
const OWNED_WITHIN: Duration = Duration::from_secs(5);
/// Pages of lists.
const PAGE: usize = 1_000;

/// Looks at a store again and again, and remembers what it saw.
pub(crate) struct Look {
    pub(crate) site: Site,
    pub(crate) peer: Peer,
    pub(crate) platforms: Arc<Platforms>,
    /// The end of each audit trail when it was last looked at.
    heads: BTreeMap<&'static str, Head>,
    /// Executions that have ended and were found in order.
    settled: BTreeSet<ExecutionId>,
}

impl Look {
    pub(crate) fn new(site: Site, peer: Peer, platforms: Arc<Platforms>) -> Self {
        Self { site, peer, platforms, heads: BTreeMap::new(), settled: BTreeSet::new() }
    }

    /// Opens the hub, compares, and closes it again.
    pub(crate) async fn compare(&mut self, claims: &mut Claims, findings: &mut Findings) {
        let heard: Arc<Mutex<Vec<Said>>> = Arc::default();
        let ear = Arc::clone(&heard);
        let mouth: Mouth = Arc::new(move |said| ear.lock().unwrap().push(said));
        let begun = Instant::now();
        let hub = match self.site.open(&mouth).await {
            Ok(hub) => hub,
            Err(error) => return findings.violation(format!("the store does not open: {error}")),
        };
        claims.hear(Said::Open { millis: begun.elapsed().as_millis() as u64 }, findings);
        if let Err(error) = self.site.furnish(&hub).await {
            findings.violation(format!("tenants cannot be made: {error}"));
        }
        owned(&hub, findings).await;
        for name in TENANTS {
            let tenant = hub.tenant(name).unwrap();
            self.executions(&tenant, claims, findings).await;
            compare::settings(&tenant, claims, findings).await;
            for connection in [FORGIVING, STRICT] {
                self.connection(&tenant, connection, claims, findings).await;
            }
            let trail = self.trail(name, &tenant, findings).await;
            compare::trail(&tenant, &trail, claims, findings).await;
        }
        for said in heard.lock().unwrap().drain(..) {
            claims.hear(said, findings);
        }
        if let Err(error) = hub.shutdown(Duration::from_secs(10)).await {
            findings.violation(format!("the hub does not close: {error}"));
        }
    }

    /// Forgets what it was content with: everything is looked at again.
    pub(crate) fn afresh(&mut self) {
        self.settled.clear();
    }

    /// Every execution that was acknowledged is there and as it was told; those that nobody had heard of are whole.
    async fn executions(&mut self, tenant: &Tenant, claims: &mut Claims, findings: &mut Findings) {
        let name = tenant.id().to_string();
        // Asked for again under its key, an execution that was there is found and one that was not is started.
        let tried = claims.tried.iter().filter(|(of, _)| *of == name);
        let tried: Vec<Order> = tried.map(|(_, order)| order.clone()).collect();
        for order in tried {
            let known = claims.accepted.get(&(name.clone(), order.clone())).copied();
            if known.is_some_and(|id| self.settled.contains(&id)) {
                continue;
            }
            let handle = match tenant.start(run(&order)).await {
                Ok(handle) => handle,
                Err(error) => {
                    findings.violation(format!("{name}/{order:?}, accepted as {known:?}, is not to be had: {error}"));
                    continue;
                }
            };
            let found = handle.id();
            findings.check(known.is_none_or(|known| known == found), || {
                format!("{name}/{order:?} was accepted as {known:?}, its key leads to {found}")
            });
            let before = findings.violations.len();
            compare::execution(&name, &order, &handle, claims, findings).await;
            if findings.violations.len() == before {
                self.settled.insert(found);
            }
            claims.adopt(&name, order, found);
        }
    }

    /// The audit trail: unbroken, and the continuation of what it was.
    async fn trail(&mut self, name: &'static str, tenant: &Tenant, findings: &mut Findings) -> Vec<AuditEntry> {
        let verdict = tenant.verify_audit().await.unwrap();
        findings.check(verdict.is_intact(), || format!("{name}: the audit trail is broken: {verdict:?}"));
        let sink = Sink::default();
        let head = tenant.export_audit(sink.clone()).await.unwrap();
        let exported = sink.0.lock().unwrap().clone();
        let before = self.heads.insert(name, head);
        let verdict = verify_export(exported.as_slice(), &Scope::tenant(tenant.id().clone()), before);
        let intact = verdict.as_ref().is_ok_and(bifrost::audit::Verdict::is_intact);
        findings.check(intact, || format!("{name}: the trail does not continue {before:?}: {verdict:?}"));
        let mut trail: Vec<AuditEntry> = Vec::new();
        loop {
            let page = tenant.audit(trail.last().map(|entry| entry.number), PAGE).await.unwrap();
            if page.is_empty() {
                return trail;
            }
            trail.extend(page);
        }
    }

    /// A connection works, or its grant was lost with an answer that was under way, and that is said.
    async fn connection(&self, tenant: &Tenant, id: &'static str, claims: &mut Claims, findings: &mut Findings) {
        let connection = tenant.connections().get(id).await.unwrap();
        let key = connection.default_token();
        let Err(error) = connection.tokens().token(&key).await.map(|token| {
            claims.token(site::grant(&connection), token.generation(), findings);
        }) else {
            return;
        };
        if !site::must_sign_in(&error) {
            return findings.violation(format!("{}/{id}: {error}", tenant.id()));
        }
        let status = tenant.connections().status(id).await.unwrap();
        findings.check(status.state == ConnectionState::ReauthRequired, || format!("{}/{id}: {status:?}", tenant.id()));
        let advised = error.suggested_action().is_some() && status.next_action.is_some();
        let grant = site::grant(&connection);
        claims.hear(Said::Lost { grant, cause: status.cause, advised }, findings);
        self.site.reconnect(tenant, id).await.unwrap();
    }

    /// Grants are lost only where the platform revokes them when a spent token comes again, only with an answer that
    /// was under way, and with the cause.
    pub(crate) fn losses(&self, claims: &Claims, findings: &mut Findings) {
        for (grant, (cause, advised)) in &claims.lost {
            let (shown, issued) = (claims.tokens.get(grant).copied().unwrap_or_default(), self.platforms.issued(grant));
            let excused = grant.connection == STRICT && issued > shown;
            findings.check(excused, || {
                format!("{grant:?} was lost: {issued} tokens were issued, {shown} were shown: nothing was under way")
            });
            let told = *cause == Some(Cause::RotationLost) && *advised;
            findings.check(told, || format!("{grant:?} was lost, and the cause given is {cause:?}"));
        }
    }

    /// What was written outside: each effect once.
    pub(crate) fn outside(&self, claims: &Claims, findings: &mut Findings) {
        let mut applied = self.peer.applied();
        let mut tickets = self.platforms.tickets();
        for (tenant, order) in claims.accepted.keys() {
            let named = |effect| label(tenant, &order.key, effect);
            let effects = [(work::PROBED, true), (work::KEYED, true), (work::LEAF, order.nests)];
            for (effect, wanted) in effects {
                once(&mut applied, &named(effect), wanted, findings);
            }
            once(&mut tickets, &named(work::TICKET), order.opens_ticket, findings);
        }
        let ours = tickets.into_iter().filter(|(summary, _)| summary.ends_with(work::TICKET));
        for (stray, count) in applied.into_iter().chain(ours) {
            findings.violation(format!("{stray} was applied {count} times for no execution that is known"));
        }
    }

    /// Grants whose last answer was lost and that went on nevertheless.
    pub(crate) fn saved(&self, claims: &Claims) -> u64 {
        let forgiving = claims.tokens.iter().filter(|(grant, _)| grant.connection == FORGIVING);
        forgiving.map(|(grant, shown)| self.platforms.issued(grant).saturating_sub(*shown)).sum()
    }
}

fn once(applied: &mut BTreeMap<String, u64>, label: &str, wanted: bool, findings: &mut Findings) {
    let count = applied.remove(label).unwrap_or_default();
    findings.check(count == u64::from(wanted), || format!("{label} was applied {count} times"));
}

/// Some seconds after opening, every execution has ended or has an owner in this process.
async fn owned(hub: &Hub, findings: &mut Findings) {
    let until = Instant::now() + OWNED_WITHIN;
    let mut open = Vec::new();
    for name in TENANTS {
        let tenant = hub.tenant(name).unwrap();
        let records = compare::records(&tenant).await.into_iter().filter(|record| !record.state.is_terminal());
        open.extend(records.map(|record| (tenant.clone(), record)));
    }
    // To list them all may take longer than that: what counts is how each stands when it is read again.
    loop {
        let mut still_open = Vec::new();
        for (tenant, record) in open {
            let handle = tenant.execution(record.id).await.unwrap();
            let record = handle.record().await.unwrap();
            if !record.state.is_terminal() {
                still_open.push((tenant, record));
            }
        }
        open = still_open;
        if open.is_empty() {
            return;
        }
        if Instant::now() > until {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    let now = hub.snapshot();
    let orphans = open.iter().filter(|(_, record)| {
        record.epoch != now.epoch || record.state == ExecutionState::NeedsAttention || now.executions_in_flight == 0
    });
    for (tenant, record) in orphans {
        findings.violation(format!("{}: 5 s after opening it has no end and no owner: {record:?}", tenant.id()));
    }
}

/// Where a trail is written to.
#[derive(Debug, Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
