//! Rotations with a kill at every point: before and after each commit, before and after the platform rotated.

use std::sync::Arc;
use std::time::Duration;

use bifrost::connection::{Cause, ConnectionState};
use bifrost::store::memory::MemoryStore;
use bifrost::store::seal::{EphemeralKey, KeyProvider};
use bifrost::testing::{SeededEntropy, TokioClock};
use bifrost::{Clock, ErrorKind, Hub, NewTenant, Result, Tenant};
use tokio::time::{sleep, timeout};

use super::mortal::{Death, Mortal};
use super::platform::{Act, LATENCY, Platform, Reuse, settings};
use crate::findings::Findings;
use crate::lab::Round;

/// A point at which a rotation is cut off: what the process and the platform do, and whether the platform has rotated
/// without anything of that being stored.
struct Failpoint {
    name: &'static str,
    death: Option<Death>,
    act: Option<Act>,
    rotated_unseen: bool,
}

/// The commits of an exchange are two: the intent, and what came of it.
#[rustfmt::skip]
const FAILPOINTS: [Failpoint; 7] = [
    Failpoint { name: "before the intent", death: Some(Death::Before(1)), act: None, rotated_unseen: false },
    Failpoint { name: "after the intent", death: Some(Death::After(1)), act: None, rotated_unseen: false },
    Failpoint { name: "sent, not rotated", death: None, act: Some(Act::LostBefore), rotated_unseen: false },
    Failpoint { name: "rotated, answer lost", death: None, act: Some(Act::LostAfter), rotated_unseen: true },
    Failpoint { name: "before the answer is stored", death: Some(Death::Before(2)), act: None, rotated_unseen: true },
    Failpoint { name: "after the answer is stored", death: Some(Death::After(2)), act: None, rotated_unseen: false },
    Failpoint { name: "nowhere", death: None, act: None, rotated_unseen: false },
];

/// A machine on which one process after the other lives.
struct Machine {
    clock: Arc<TokioClock>,
    keys: Arc<dyn KeyProvider>,
    platform: Platform,
    disk: MemoryStore,
}

impl Machine {
    fn new(reuse: Reuse) -> Self {
        let clock = Arc::new(TokioClock::starting_at("2026-01-01T00:00:00Z".parse().unwrap()));
        Self {
            platform: Platform::new(Arc::clone(&clock) as Arc<dyn Clock>, reuse),
            clock,
            keys: Arc::new(EphemeralKey::generate(Arc::new(SeededEntropy::new(1)))),
            disk: MemoryStore::new(),
        }
    }

    async fn start(&self) -> (Hub, Mortal) {
        let store = Mortal::on(&self.disk);
        let hub = Hub::builder()
            .with_store(Arc::new(store.clone()), Arc::clone(&self.keys))
            .with_clock(Arc::clone(&self.clock) as Arc<dyn Clock>)
            .with_integration(Arc::new(self.platform.clone()));
        (hub.start().await.unwrap(), store)
    }
}

pub(super) async fn killed_everywhere(round: &Round, findings: &mut Findings) {
    let dice = round.dice();
    for reuse in [Reuse::Strict, Reuse::Grace] {
        let mut machine = Machine::new(reuse);
        let (hub, store) = machine.start().await;
        let tenant = hub.tenants().create(NewTenant::customer("contoso")).await.unwrap();
        tenant.connections().create("idp", settings(), machine.platform.sign_in()).await.unwrap();
        machine.disk = store.kill();
        for life in 0..round.scale(56, 560) {
            // Every point in turn, and then as the dice fall.
            let index = if life < 7 { life } else { dice.below(7) };
            let point = &FAILPOINTS[usize::try_from(index).unwrap()];
            findings.attempt();
            live_and_die(&mut machine, point, findings).await;
            judge(&mut machine, reuse, point, findings).await;
        }
        findings.count("refresh tokens rotated", machine.platform.rotations() as f64);
    }
}

/// One process, that dies at this point of a rotation.
async fn live_and_die(machine: &mut Machine, point: &Failpoint, findings: &mut Findings) {
    let (hub, store) = machine.start().await;
    let tenant = hub.tenant("contoso").unwrap();
    token(&tenant).await.unwrap();
    let before = machine.platform.exchanges();
    machine.platform.next(point.act);
    store.plan(point.death);
    let asking = tenant.clone();
    let rotating = tokio::spawn(async move { rotate(&asking).await });
    let begun = async {
        while !(store.is_dead() || rotating.is_finished()) {
            // An answer that never comes: the process dies while it waits.
            if point.act.is_some() && machine.platform.exchanges() > before {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    begun.await;
    if point.death == Some(Death::Before(2)) {
        // What is not stored yet may be lost with the process: whoever asks now waits.
        let shown = timeout(LATENCY, token(&tenant)).await;
        findings.check(shown.is_err(), || format!("{}: a token was shown: {shown:?}", point.name));
    }
    machine.disk = store.kill();
    rotating.abort();
    // What the process had in its hands is gone; the platform hears nothing more of it.
    drop(hub);
}

/// The next process: it has a token wherever one can be had, and says what a person must do where none can.
async fn judge(machine: &mut Machine, reuse: Reuse, point: &Failpoint, findings: &mut Findings) {
    let (hub, store) = machine.start().await;
    let tenant = hub.tenant("contoso").unwrap();
    let lost = point.rotated_unseen && reuse == Reuse::Strict;
    let name = point.name;
    match rotate(&tenant).await {
        Ok(()) => findings.check(!lost, || format!("{reuse:?}, {name}: it works, and cannot")),
        Err(error) if !lost => {
            findings.violation(format!("{reuse:?}, {name}: a connection that could be saved is lost: {error}"));
        }
        Err(error) => {
            findings.count("lost for good, and said so", 1.0);
            let status = tenant.connections().status("idp").await.unwrap();
            let said = error.kind() == ErrorKind::ReauthRequired
                && status.state == ConnectionState::ReauthRequired
                && status.cause == Some(Cause::RotationLost)
                && error.suggested_action() == Some("sign in again to renew the grant");
            findings.check(said, || format!("{reuse:?}, {name}: lost without cause or advice: {error}; {status:?}"));
            let settled = rotate(&tenant).await.is_err();
            findings.check(settled, || format!("{reuse:?}, {name}: a revoked grant came back"));
            tenant.connections().update("idp", settings(), machine.platform.sign_in()).await.unwrap();
            let works = rotate(&tenant).await;
            findings.check(works.is_ok(), || format!("{reuse:?}, {name}: a new grant does not work: {works:?}"));
        }
    }
    findings.check(!machine.platform.is_revoked(), || format!("{reuse:?}, {name}: the grant was revoked"));
    machine.disk = store.kill();
}

/// Gets a new token, whatever there is.
pub(super) async fn rotate(tenant: &Tenant) -> Result<()> {
    let connection = tenant.connections().get("idp").await?;
    let key = connection.default_token();
    let token = connection.tokens().token(&key).await?;
    connection.tokens().replace(&key, &token).await.map(drop)
}

pub(super) async fn token(tenant: &Tenant) -> Result<()> {
    let connection = tenant.connections().get("idp").await?;
    connection.tokens().token(&connection.default_token()).await.map(drop)
}
