//! What is stored of a tenant's executions, and what must hold of it.

use bifrost::event::EventBody;
use bifrost::execution::ExecutionRecord;
use bifrost::{Event, Result, Tenant};
use futures_util::StreamExt;

use super::ends;
use crate::findings::Findings;

/// An execution as it is stored.
pub(crate) struct Stored {
    pub(crate) record: ExecutionRecord,
    pub(crate) events: Vec<Event>,
}

/// All executions of `tenant`, with the events of those that have ended.
pub(crate) async fn stored(tenant: &Tenant) -> Result<Vec<Stored>> {
    let mut all = Vec::new();
    for record in tenant.executions(None, 1_000).await? {
        let mut events = Vec::new();
        if record.state.is_terminal() {
            let handle = tenant.execution(record.id).await?;
            events = ends(async { Ok(handle.events(1).collect().await) }).await?;
        }
        all.push(Stored { record, events });
    }
    Ok(all)
}

/// Each execution has ended, once, and its history has no gap.
pub(crate) fn check_history(all: &[Stored], findings: &mut Findings, whose: &str) {
    for Stored { record, events } in all {
        let name = format!("{whose}: {} {}", record.workflow, record.id);
        findings.check(record.state.is_terminal(), || format!("{name} is {} and nobody ends it", record.state));
        if !record.state.is_terminal() {
            continue;
        }
        let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
        let gapless = numbers == (1..=numbers.len() as u64).collect::<Vec<_>>();
        findings.check(gapless && record.last_event == numbers.len() as u64, || {
            format!("{name} has a gap in its history: {numbers:?} of {}", record.last_event)
        });
        let ended = |event: &&Event| matches!(&event.body, EventBody::State { state, .. } if state.is_terminal());
        let ends = events.iter().filter(ended).count();
        let last = events.last().is_some_and(|event| ended(&event));
        findings.check(ends == 1 && last, || format!("{name} ended {ends} times, last: {last}"));
    }
}

/// The audit trail tells of one end of each execution: it only grows, so an end that was undone stays in it.
pub(crate) async fn check_trail(tenant: &Tenant, all: &[Stored], findings: &mut Findings, whose: &str) {
    const FINISH: &str = "execution.finish";
    let trail = match tenant.audit(None, 1_000).await {
        Ok(trail) => trail,
        Err(error) => return findings.violation(format!("{whose}: {error}")),
    };
    let ends: Vec<_> = trail.iter().map(|entry| &entry.record).filter(|record| record.action == FINISH).collect();
    for Stored { record, .. } in all {
        let target = record.id.to_string();
        let told = ends.iter().filter(|end| end.target == target).count();
        findings.check(told == 1, || {
            format!("{whose}: {} {target} ended {told} times by the audit trail", record.workflow)
        });
    }
}
