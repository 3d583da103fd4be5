//! Starting one durable execution per person, and following all of them to their ends.

use std::cell::Cell;
use std::pin::pin;
use std::process::{self, Command};
use std::time::Duration;

use bifrost::execution::ExecutionRecord;
use bifrost::{
    Error, ErrorKind, ErrorReport, Event, EventBody, ExecutionHandle, ExecutionState, Hub, Result, Run, Timestamp,
};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use serde::Serialize;

use crate::hires::Person;
use crate::progress::Progress;
use crate::workflow::{BOOK_TIME, CREATE_USER, FOUND, NAME, OPEN_TICKET, Onboarded};

/// How it went for one person.
pub(crate) struct Finished<'a> {
    pub(crate) person: &'a Person,
    pub(crate) outcome: String,
    pub(crate) result: Option<Onboarded>,
    pub(crate) took: Option<Duration>,
    pub(crate) problems: Vec<ErrorReport>,
    /// It had ended before this run began.
    pub(crate) earlier: bool,
}

/// What this run created, counted as the steps become durable.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Created {
    pub(crate) users: u64,
    pub(crate) tickets: u64,
    pub(crate) time_entries: u64,
}

/// The step a person is at, as far as counting goes.
#[derive(Debug, Default)]
struct Effect {
    begun: Timestamp,
    found: bool,
}

/// Sees every event: counts, shows, and crashes when it is told to.
pub(crate) struct Watch<'a> {
    pub(crate) progress: &'a Progress,
    /// Events from before belong to an earlier run.
    pub(crate) since: Timestamp,
    pub(crate) crash_after: Option<u64>,
    steps: Cell<u64>,
    created: Cell<Created>,
}

/// Onboards everyone, each by an execution of its own.
pub(crate) async fn onboard<'a>(hub: &Hub, people: &'a [Person], watch: &Watch<'_>) -> Result<Vec<Finished<'a>>> {
    let mut started = Vec::with_capacity(people.len());
    for person in people {
        // The key is the person: whoever was onboarded before, or is half-way, is found and not started again.
        let run = Run::new(NAME, &person.hire).with_idempotency_key(format!("onboard:{}", person.hire.upn));
        started.push((person, hub.tenant(&person.customer)?.start(run).await));
    }
    let ends = started.into_iter().map(|(person, handle)| async move {
        match handle {
            Ok(handle) => follow(person, &handle, watch).await,
            Err(error) => Ok(refused(person, error, watch)),
        }
    });
    join_all(ends).await.into_iter().collect()
}

async fn follow<'a>(person: &'a Person, handle: &ExecutionHandle, watch: &Watch<'_>) -> Result<Finished<'a>> {
    let mut events = pin!(handle.events(1));
    let mut effect = Effect::default();
    while let Some(event) = events.next().await {
        watch.see(person, &event, &mut effect);
        let is_set_aside = matches!(event.body, EventBody::State { state: ExecutionState::NeedsAttention, .. });
        // An old event: somebody may have decided since.
        if is_set_aside && handle.record().await?.state == ExecutionState::NeedsAttention {
            break;
        }
    }
    let finished = finished(person, handle.record().await?, watch.since);
    watch.progress.ended(person, &finished.outcome);
    Ok(finished)
}

fn finished(person: &Person, record: ExecutionRecord, since: Timestamp) -> Finished<'_> {
    let took = record.finished_at.zip(record.started_at).map(|(end, start)| end.since(start));
    let mut problems = Vec::new();
    let mut result = None;
    match record.outcome {
        Some(outcome) => {
            problems.extend(outcome.problems);
            problems.extend(outcome.error);
            result = serde_json::from_value(outcome.output).ok();
        }
        None => problems.push(unfinished(record.state).with("execution", record.id).to_report()),
    }
    Finished {
        person,
        outcome: format!("{:?}", record.state),
        result,
        took,
        problems,
        earlier: record.finished_at.is_some_and(|end| end < since),
    }
}

/// Why an execution was left although it has not ended.
fn unfinished(state: ExecutionState) -> Error {
    let error = Error::new(ErrorKind::NeedsAttention, "onboard user", format!("it is {state}"));
    if state == ExecutionState::NeedsAttention {
        return error.next_action("find out at the provider what was done, and decide with `tenant.resolve(..)`");
    }
    error.next_action("run this again: it goes on where it was")
}

/// Somebody the hub took no order for.
fn refused<'a>(person: &'a Person, error: Error, watch: &Watch<'_>) -> Finished<'a> {
    let error = match error.kind() {
        ErrorKind::Conflict => {
            Error::new(ErrorKind::Conflict, "onboard user", "the row has changed since it was begun")
                .next_action("put the row back as it was, and make the change at the provider")
        }
        _ => error,
    };
    watch.progress.ended(person, "Refused");
    Finished {
        person,
        outcome: "Refused".to_owned(),
        result: None,
        took: None,
        problems: vec![error.to_report()],
        earlier: false,
    }
}

impl<'a> Watch<'a> {
    pub(crate) fn new(progress: &'a Progress, since: Timestamp, crash_after: Option<u64>) -> Self {
        Self { progress, since, crash_after, steps: Cell::default(), created: Cell::default() }
    }

    /// What was created so far.
    pub(crate) fn created(&self) -> Created {
        self.created.get()
    }

    fn see(&self, person: &Person, event: &Event, effect: &mut Effect) {
        match &event.body {
            EventBody::StepStarted { name, .. } => {
                *effect = Effect { begun: event.at, found: false };
                self.progress.step(person, name);
            }
            EventBody::Log { message, .. } if message == FOUND => effect.found = true,
            EventBody::StepFinished { name, .. } if event.at >= self.since => {
                let by_an_earlier_run = effect.found && effect.begun < self.since;
                self.count(name, !by_an_earlier_run);
            }
            _ => {}
        }
    }

    fn count(&self, step: &str, is_new: bool) {
        let mut created = self.created.get();
        match step {
            CREATE_USER if is_new => created.users += 1,
            OPEN_TICKET if is_new => created.tickets += 1,
            BOOK_TIME if is_new => created.time_entries += 1,
            _ => {}
        }
        self.created.set(created);
        self.steps.set(self.steps.get() + 1);
        if self.crash_after.is_some_and(|limit| self.steps.get() >= limit) {
            crash();
        }
    }
}

/// Ends this process the hard way: no destructor runs, no buffer is written.
fn crash() -> ! {
    // Ours is the only process this can hit; where there is no such program, aborting is the nearest thing.
    let _ = Command::new("kill").args(["-KILL", &process::id().to_string()]).status();
    process::abort()
}
