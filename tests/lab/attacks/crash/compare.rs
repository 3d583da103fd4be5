//! What is in the store beside what was acknowledged: executions, their histories, settings, the audit trail.

use std::collections::BTreeMap;
use std::time::Duration;

use bifrost::audit::AuditEntry;
use bifrost::execution::{ExecutionRecord, ExecutionState};
use bifrost::{EventBody, ExecutionHandle, ExecutionId, Run, Tenant};
use futures_util::StreamExt;

use super::claims::Claims;
use super::said::{Said, Setting};
use super::work::{LEAF, MIXED, Order, Outcome, REVEAL};
use crate::findings::Findings;

/// How long an execution may take to end.
const ENDED_WITHIN: Duration = Duration::from_secs(60);
/// Pages of lists.
const PAGE: usize = 1_000;

/// All executions of a tenant.
pub(super) async fn records(tenant: &Tenant) -> Vec<ExecutionRecord> {
    let mut records: Vec<ExecutionRecord> = Vec::new();
    loop {
        let page = tenant.executions(records.last().map(|record| record.id), PAGE).await.unwrap();
        if page.is_empty() {
            return records;
        }
        records.extend(page);
    }
}

/// An execution ends, well, and with what was told of it.
pub(super) async fn execution(
    tenant: &str,
    order: &Order,
    handle: &ExecutionHandle,
    claims: &Claims,
    findings: &mut Findings,
) {
    let id = handle.id();
    let ended = tokio::time::timeout(ENDED_WITHIN, handle.settled()).await;
    let record = match handle.record().await {
        Ok(record) => record,
        Err(error) => return findings.violation(format!("{tenant}/{id}: its key is there, its record not: {error}")),
    };
    if !matches!(ended, Ok(Ok(Some(_)))) {
        return findings.violation(format!("{tenant}/{id} does not end: {ended:?}, {record:?}"));
    }
    let ours = serde_json::from_value::<Order>(record.params.clone()).is_ok_and(|params| params == *order);
    let key = record.idempotency_key.as_ref().map(bifrost::IdempotencyKey::as_str);
    findings.check(ours && key == Some(&order.key), || format!("{tenant}/{id} is not {order:?}: {record:?}"));
    let output = record.outcome.as_ref().map(|outcome| outcome.output.clone()).unwrap_or_default();
    let output: Outcome = match (record.state, serde_json::from_value(output)) {
        (ExecutionState::Succeeded, Ok(output)) => output,
        _ => return findings.violation(format!("{tenant}/{id} did not end well: {record:?}")),
    };
    let of = (tenant.to_owned(), id);
    let told = claims.finished.get(&of);
    findings.check(told.is_none_or(|told| *told == output), || {
        format!("{tenant}/{id} had ended with {told:?}, now with {output:?}")
    });
    let steps = claims.steps.get(&of);
    for (name, value) in steps.into_iter().flatten() {
        let kept = output.iter().any(|(of, result)| of == name && result == value);
        findings.check(kept, || format!("{tenant}/{id}: {name} had ended with {value}, the output is {output:?}"));
    }
    history(tenant, handle, &record, &output, findings).await;
}

/// Its events are numbered without gaps and tell the end of every step.
async fn history(
    tenant: &str,
    handle: &ExecutionHandle,
    record: &ExecutionRecord,
    output: &Outcome,
    findings: &mut Findings,
) {
    let id = handle.id();
    let events: Vec<_> = handle.events(1).collect().await;
    let numbered = events.iter().zip(1..).all(|(event, number)| event.seq == number);
    findings.check(numbered && events.len() as u64 == record.last_event, || {
        let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
        format!("{tenant}/{id}: events {numbers:?}, the last should be {}", record.last_event)
    });
    for (name, _) in output {
        let name = if name == LEAF { format!("run {LEAF}") } else { name.clone() };
        let ends = events
            .iter()
            .filter(|event| matches!(&event.body, EventBody::StepFinished { name: of, .. } if *of == name));
        let ends = ends.count();
        findings.check(ends == 1, || format!("{tenant}/{id}: {name} ended {ends} times in its history"));
    }
}

/// Settings are what was acknowledged last, or what was on its way.
pub(super) async fn settings(tenant: &Tenant, claims: &mut Claims, findings: &mut Findings) {
    let name = tenant.id().to_string();
    let config = tenant.config().get("version").await.unwrap().and_then(|value| value.as_u64());
    claims.found(name.clone(), Setting::Config, config.unwrap_or_default(), findings);
    let is_set = tenant.secrets().names().await.unwrap().iter().any(|secret| secret == "version");
    let secret = if is_set {
        let outcome = tenant.start(Run::new(REVEAL, "version")).await.unwrap().wait().await.unwrap();
        let version = outcome.clone().into_output().ok().and_then(|output| output.as_u64());
        findings.check(version.is_some(), || format!("{name}: the secret cannot be read: {outcome:?}"));
        version.unwrap_or_default()
    } else {
        0
    };
    claims.hear(Said::Found { tenant: name, setting: Setting::Secret, version: secret }, findings);
}

/// Every change has its record in the audit trail, and every record its change.
pub(super) async fn trail(tenant: &Tenant, trail: &[AuditEntry], claims: &Claims, findings: &mut Findings) {
    let name = tenant.id().to_string();
    let mut audited: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for entry in trail {
        *audited.entry((&entry.record.action, &entry.record.target)).or_default() += 1;
    }
    let count = |action: &str, target: &str| audited.get(&(action, target)).copied().unwrap_or_default();
    let records: BTreeMap<ExecutionId, ExecutionRecord> =
        records(tenant).await.into_iter().map(|record| (record.id, record)).collect();
    for (id, record) in &records {
        let target = id.to_string();
        let (accepted, ended) = (count("execution.accept", &target), count("execution.finish", &target));
        findings.check(accepted == 1 && ended == u64::from(record.state.is_terminal()), || {
            format!("{name}/{id} is {}, its trail has {accepted} acceptances and {ended} ends", record.state)
        });
    }
    for (action, target) in audited.keys().filter(|(action, _)| action.starts_with("execution.")) {
        let there = target.parse().is_ok_and(|id: ExecutionId| records.contains_key(&id));
        findings.check(there, || format!("{name}: the trail has {action} of {target}, which is not there"));
    }
    for ((of, setting), versions) in claims.settings.iter().filter(|((of, _), _)| *of == name) {
        let (action, exact) = match setting {
            Setting::Config => ("config.set", true),
            Setting::Secret => ("secret.set", false),
        };
        let (audited, durable) = (count(action, "version"), versions.durable);
        let most = if exact { durable } else { versions.tries };
        findings.check((durable..=most).contains(&audited), || {
            format!("{of}: {setting:?} was set {durable} times, the trail has {audited}")
        });
    }
    children(&name, &records, findings);
    for grant in claims.lost.keys().filter(|grant| grant.tenant == name) {
        let told = count("connection.reauth_required", &grant.connection);
        findings.check(told > 0, || format!("{grant:?} was lost, and the trail does not say so"));
    }
}

/// Each execution that nests has one child, and no child is without its parent.
fn children(tenant: &str, records: &BTreeMap<ExecutionId, ExecutionRecord>, findings: &mut Findings) {
    let mut children: BTreeMap<ExecutionId, u64> = BTreeMap::new();
    for record in records.values().filter(|record| record.workflow.as_str() == LEAF) {
        let parent = record.parent.filter(|parent| records.contains_key(parent));
        findings.check(parent.is_some(), || format!("{tenant}/{} has lost its parent", record.id));
        *children.entry(parent.unwrap_or(record.id)).or_default() += 1;
    }
    for record in records.values().filter(|record| record.workflow.as_str() == MIXED) {
        let nests = serde_json::from_value::<Order>(record.params.clone()).is_ok_and(|order| order.nests);
        let found = children.get(&record.id).copied().unwrap_or_default();
        findings.check(found == u64::from(nests), || format!("{tenant}/{} has {found} children", record.id));
    }
}
