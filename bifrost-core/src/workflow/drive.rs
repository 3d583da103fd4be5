//! The protocol of a step, as a machine that its caller drives.
//!
//! ```text
//! Context::drive ─► Call ─ returned ─► Done
//!                └► Probe ─ probed ─► Done | Call
//! ```
//! [`Context::step`] and [`Context::effect`] drive it over closures; workflows in other languages drive it themselves,
//! with code that the hub cannot poll.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::context::Context;
use super::host::{ContextHost, StepTicket};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::execution::{StepKind, StepState};

/// How often one drive sends an effect that turns out not to have been applied.
const MAX_SENDS: u32 = 3;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// A step: it may run again if its result was not stored.
    Step,
    /// A write to the outside, and what follows when its outcome is unknown.
    Effect(Doubt),
}

/// What to do when it is unknown whether the write was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Ask a probe, and a person if it cannot tell.
    Probe,
    /// Send it again: the provider honours the idempotency key.
    Resend,
    /// A person must decide.
    Person,
}

/// What a probe found out about a write.
#[derive(Debug, Clone, PartialEq)]
pub enum Probe<T> {
    /// It was applied; this is its result.
    Done(T),
    /// It was not applied.
    NotDone,
    /// The probe cannot tell: a person must.
    Unknown,
}

impl<T> From<Option<T>> for Probe<T> {
    /// Found is done, not found is not done: for providers that show a write at once.
    fn from(found: Option<T>) -> Self {
        found.map_or(Self::NotDone, Self::Done)
    }
}

/// What the caller does next.
#[derive(Debug)]
pub enum Next {
    /// Call the function, then say what it [`returned`](Drive::returned).
    Call {
        /// The idempotency key of the step.
        key: String,
    },
    /// Ask the probe, then say what it [`found`](Drive::probed).
    Probe {
        /// The idempotency key of the write that is in doubt.
        key: String,
    },
    /// Nothing: this is the end of the step, stored before it is told.
    Done(Result<Value>),
}

/// What the caller was told to do last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Call,
    Probe,
    Nothing,
}

/// A step that has begun; see [`Context::drive`]. It can be moved to whatever thread its code runs on.
pub struct Drive {
    host: Arc<dyn ContextHost>,
    name: String,
    plan: Plan,
    ordinal: u32,
    key: String,
    sends: u32,
    asked: Asked,
}

impl Context {
    /// Begins a step that its caller drives: it does what [`Next`] says and tells the [`Drive`] what came of it, until
    /// that is [`Next::Done`]. For code that Rust can poll, [`Context::step`] and [`Context::effect`] do so.
    ///
    /// A drive that is dropped before its end leaves the step as it stands in the journal: a step runs again when it is
    /// resumed, an effect is in doubt.
    ///
    /// ```no_run
    /// # use bifrost_core::{Result, workflow::{Context, Next, Plan}};
    /// # use serde_json::Value;
    /// # async fn on_another_thread(key: String) -> Result<Value> { Ok(Value::Null) }
    /// # async fn example(ctx: Context) -> Result<Value> {
    /// let (mut drive, mut next) = ctx.drive("read users", Plan::Step).await?;
    /// loop {
    ///     next = match next {
    ///         Next::Call { key } => drive.returned(on_another_thread(key).await).await,
    ///         Next::Probe { .. } => unreachable!("a step is never in doubt"),
    ///         Next::Done(result) => return result,
    ///     };
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` for a bad name, `QuotaExceeded` for too many steps; `NeedsAttention`, `Cancelled`, `Timeout` or
    /// `Closed` when the attempt has ended for the hub.
    pub async fn drive(&self, name: &str, plan: Plan) -> Result<(Drive, Next)> {
        let kind = match plan {
            Plan::Step => StepKind::Step,
            Plan::Effect(_) => StepKind::Effect,
        };
        self.begin(name, kind, plan).await
    }

    pub(super) async fn begin(&self, name: &str, kind: StepKind, plan: Plan) -> Result<(Drive, Next)> {
        let host = Arc::clone(self.host());
        let StepTicket { ordinal, idempotency_key, known } = host.begin_step(name, kind).await?;
        let (name, key) = (name.to_owned(), idempotency_key);
        let mut drive = Drive { host, name, plan, ordinal, key, sends: 0, asked: Asked::Nothing };
        let next = match known {
            Some(StepState::Confirmed { result }) => Next::Done(Ok(result)),
            Some(StepState::Refused { error }) => Next::Done(Err(error.to_error())),
            Some(StepState::Intended | StepState::Unknown) => drive.clear_up().await,
            Some(StepState::NotApplied { .. }) | None => drive.send().await,
        };
        Ok((drive, next))
    }

    /// Says that code which the hub does not poll has come to rest: all it waits for are steps. If those cannot go on
    /// because recorded steps were not asked for, the workflow's code has changed, and the execution stops for a
    /// person. For workflows in other languages; see [`Workflow::announces_rest`](super::Workflow::announces_rest).
    pub fn came_to_rest(&self) {
        self.host().came_to_rest();
    }
}

impl Drive {
    /// How long one call of the function, or of the probe, may take.
    pub fn limit(&self) -> Duration {
        self.host.info().step_deadline
    }

    /// The error that stands for the result of a call that took longer than [`Drive::limit`].
    pub fn overdue(&self) -> Error {
        Error::new(ErrorKind::Timeout, "run step", "the step took longer than its deadline")
            .with("step", &self.name)
            .with("limit", format!("{}s", self.limit().as_secs_f64()))
            .retry(Retry::Later)
    }

    /// Says what the function returned, or [`Drive::overdue`]. What comes back is durable.
    pub async fn returned(&mut self, result: Result<Value>) -> Next {
        if let Err(out_of_turn) = self.answer(Asked::Call) {
            return Next::Done(Err(out_of_turn));
        }
        match result {
            Ok(value) => self.confirmed(value).await,
            Err(error) => self.failed(error).await,
        }
    }

    /// Says what the probe found out, or [`Drive::overdue`]. What comes back is durable.
    pub async fn probed(&mut self, found: Result<Probe<Value>>) -> Next {
        if let Err(out_of_turn) = self.answer(Asked::Probe) {
            return Next::Done(Err(out_of_turn));
        }
        match found {
            Ok(Probe::Done(value)) => self.confirmed(value).await,
            Ok(Probe::NotDone) => self.send().await,
            Ok(Probe::Unknown) => self.ask_person().await,
            Err(error) => Next::Done(Err(error)),
        }
    }

    /// The name of the step.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Stores the result of the call or the probe that was asked for; whoever calls this keeps the value itself.
    pub(super) async fn confirm(&mut self, result: Value) -> Result<()> {
        self.asked = Asked::Nothing;
        self.host.end_step(self.ordinal, StepState::Confirmed { result }).await
    }

    /// Stores how the step ended for good, whatever kind of error it was.
    pub(super) async fn conclude(&mut self, result: Result<Value>) -> Result<Value> {
        self.asked = Asked::Nothing;
        let state = match &result {
            Ok(value) => StepState::Confirmed { result: value.clone() },
            Err(error) => StepState::Refused { error: error.to_report() },
        };
        self.host.end_step(self.ordinal, state).await?;
        result
    }

    async fn confirmed(&mut self, value: Value) -> Next {
        Next::Done(self.confirm(value.clone()).await.map(|()| value))
    }

    async fn failed(&mut self, error: Error) -> Next {
        // The step deadline cuts the code off at any point: what it had sent may have arrived.
        let in_doubt = matches!(error.kind(), ErrorKind::UnknownOutcome | ErrorKind::Timeout);
        let in_doubt = in_doubt && self.plan != Plan::Step;
        let state = if in_doubt { StepState::Unknown } else { refusal(&error) };
        match self.host.end_step(self.ordinal, state).await {
            Err(error) => Next::Done(Err(error)),
            Ok(()) if in_doubt => self.clear_up().await,
            Ok(()) => Next::Done(Err(error)),
        }
    }

    /// It may or may not have been applied.
    async fn clear_up(&mut self) -> Next {
        match self.plan {
            Plan::Effect(Doubt::Probe) => {
                self.asked = Asked::Probe;
                Next::Probe { key: self.key.clone() }
            }
            Plan::Effect(Doubt::Person) => self.ask_person().await,
            Plan::Effect(Doubt::Resend) | Plan::Step => self.send().await,
        }
    }

    async fn send(&mut self) -> Next {
        if self.sends == MAX_SENDS {
            return self.ask_person().await;
        }
        self.sends += 1;
        self.asked = Asked::Call;
        Next::Call { key: self.key.clone() }
    }

    async fn ask_person(&self) -> Next {
        Next::Done(Err(self.host.need_attention(self.ordinal).await))
    }

    /// Each question is answered once.
    fn answer(&mut self, to: Asked) -> Result<()> {
        if self.asked != to {
            return Err(Error::internal("run step", "an answer came that was not asked for").with("step", &self.name));
        }
        self.asked = Asked::Nothing;
        Ok(())
    }
}

impl fmt::Debug for Drive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drive").field("name", &self.name).field("plan", &self.plan).finish_non_exhaustive()
    }
}

/// A failure that leaves no doubt: it was not applied. It is stored for good unless it may pass.
fn refusal(error: &Error) -> StepState {
    if error.is_retryable() || transient_here(error.kind()) {
        StepState::NotApplied { error: error.to_report() }
    } else {
        StepState::Refused { error: error.to_report() }
    }
}

/// Errors of the hub itself, which say nothing about the step: never stored as the step's result.
fn transient_here(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Cancelled
            | ErrorKind::Closed
            | ErrorKind::NeedsAttention
            | ErrorKind::StoreFull
            | ErrorKind::StorePoisoned
            | ErrorKind::UnknownOutcome
            | ErrorKind::ReauthRequired
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use futures_util::FutureExt;
    use serde_json::json;

    use super::*;
    use crate::SystemEntropy;
    use crate::connection::Connection;
    use crate::error::ErrorReport;
    use crate::event::EventBody;
    use crate::execution::Outcome;
    use crate::id::{ConfigKey, ConnectionId, ExecutionId, SecretName, TenantId, WorkflowName};
    use crate::principal::Principal;
    use crate::secret::Secret;
    use crate::tenant::EntityMapping;
    use crate::testing::ManualClock;
    use crate::time::{Clock, Timestamp};
    use crate::workflow::host::RunInfo;

    /// A journal of one step: what is known of it at first, and what was stored.
    struct Host {
        info: RunInfo,
        clock: Arc<dyn Clock>,
        known: Option<StepState>,
        stored: Mutex<Vec<StepState>>,
        refuses: bool,
    }

    impl Host {
        fn new(known: Option<StepState>) -> Self {
            let now = Timestamp::from_millis(0);
            let info = RunInfo {
                tenant: TenantId::new("contoso").unwrap(),
                execution: ExecutionId::generate(now, &SystemEntropy),
                workflow: WorkflowName::new("work").unwrap(),
                attempt: 1,
                principal: Principal::System,
                step_deadline: Duration::from_secs(5),
            };
            let clock = Arc::new(ManualClock::starting_at(now));
            Self { info, clock, known, stored: Mutex::default(), refuses: false }
        }
    }

    #[async_trait]
    impl ContextHost for Host {
        fn info(&self) -> &RunInfo {
            &self.info
        }

        fn clock(&self) -> &Arc<dyn Clock> {
            &self.clock
        }

        async fn begin_step(&self, _: &str, _: StepKind) -> Result<StepTicket> {
            Ok(StepTicket { ordinal: 0, idempotency_key: "key".to_owned(), known: self.known.clone() })
        }

        async fn end_step(&self, _: u32, state: StepState) -> Result<()> {
            if self.refuses {
                return Err(Error::new(ErrorKind::StoreFull, "commit batch", "full"));
            }
            self.stored.lock().unwrap().push(state);
            Ok(())
        }

        async fn need_attention(&self, _: u32) -> Error {
            Error::new(ErrorKind::NeedsAttention, "run effect", "unknown")
        }

        fn came_to_rest(&self) {}
        async fn sleep(&self, _: Duration) {}
        fn emit(&self, _: EventBody) {}
        fn note_problem(&self, _: ErrorReport) {}

        async fn config(&self, _: &ConfigKey) -> Result<Option<Value>> {
            Ok(None)
        }

        async fn secret(&self, _: &SecretName) -> Result<Secret> {
            Err(Error::internal("test", "no secrets"))
        }

        async fn connection(&self, _: &ConnectionId) -> Result<Connection> {
            Err(Error::internal("test", "no connections"))
        }

        async fn mapping(&self, _: &str) -> Result<Option<EntityMapping>> {
            Ok(None)
        }

        async fn run_child(&self, _: &str, _: &WorkflowName, _: &Value) -> Result<(ExecutionId, Outcome)> {
            Err(Error::internal("test", "no children"))
        }

        async fn reveal(&self, _: &SecretName) -> Result<Secret> {
            Err(Error::internal("test", "no secrets"))
        }

        async fn cancelled(&self) {}
    }

    fn begin(host: Host, plan: Plan) -> (Arc<Host>, Drive, Next) {
        let host = Arc::new(host);
        let ctx = Context::new(Arc::clone(&host) as _);
        let (drive, next) = ctx.drive("write", plan).now_or_never().unwrap().unwrap();
        (host, drive, next)
    }

    fn new(plan: Plan) -> (Arc<Host>, Drive, Next) {
        begin(Host::new(None), plan)
    }

    fn returned(drive: &mut Drive, result: Result<Value>) -> Next {
        drive.returned(result).now_or_never().unwrap()
    }

    fn probed(drive: &mut Drive, found: Result<Probe<Value>>) -> Next {
        drive.probed(found).now_or_never().unwrap()
    }

    fn lost() -> Result<Value> {
        Err(Error::new(ErrorKind::UnknownOutcome, "call provider", "reset"))
    }

    /// What is to be done next, in a word.
    fn word(next: &Next) -> String {
        match next {
            Next::Call { key } => format!("call {key}"),
            Next::Probe { key } => format!("probe {key}"),
            Next::Done(Ok(value)) => format!("done {value}"),
            Next::Done(Err(error)) => error.kind().code().to_owned(),
        }
    }

    #[test]
    fn a_drive_can_be_moved_to_another_thread() {
        fn is_send<T: Send + 'static>() {}
        is_send::<Drive>();
        is_send::<Next>();
    }

    #[test]
    fn what_is_recorded_is_the_end_at_once() {
        let refused = Error::new(ErrorKind::Rejected, "call", "no").to_report();
        for plan in [Plan::Step, Plan::Effect(Doubt::Person)] {
            let known = StepState::Confirmed { result: json!(7) };
            assert_eq!(word(&begin(Host::new(Some(known)), plan).2), "done 7");
            let known = StepState::Refused { error: refused.clone() };
            assert_eq!(word(&begin(Host::new(Some(known)), plan).2), "rejected");
        }
    }

    #[test]
    fn a_result_is_stored_before_it_is_told() {
        let (host, mut drive, next) = new(Plan::Step);
        assert_eq!(word(&next), "call key");
        assert_eq!(word(&returned(&mut drive, Ok(json!(7)))), "done 7");
        assert_eq!(*host.stored.lock().unwrap(), [StepState::Confirmed { result: json!(7) }]);
        let (_, mut drive, _) = begin(Host { refuses: true, ..Host::new(None) }, Plan::Step);
        assert_eq!(word(&returned(&mut drive, Ok(json!(7)))), "store_full");
    }

    #[test]
    fn a_failure_is_kept_for_good_only_when_trying_again_does_not_cure_it() {
        let error = || Error::new(ErrorKind::Rejected, "call", "no");
        for (error, kept) in [(error(), true), (error().retry(Retry::Later), false)] {
            let (host, mut drive, _) = new(Plan::Step);
            assert_eq!(word(&returned(&mut drive, Err(error))), "rejected");
            assert_eq!(matches!(host.stored.lock().unwrap()[0], StepState::Refused { .. }), kept);
        }
    }

    #[test]
    fn a_step_that_took_too_long_may_be_tried_again() {
        let (host, mut drive, _) = new(Plan::Step);
        assert_eq!(drive.limit(), Duration::from_secs(5));
        let overdue = drive.overdue();
        assert_eq!((overdue.context("step"), overdue.context("limit")), (Some("write"), Some("5s")));
        assert_eq!(word(&returned(&mut drive, Err(overdue))), "timeout");
        assert!(matches!(host.stored.lock().unwrap()[0], StepState::NotApplied { .. }));
    }

    #[test]
    fn a_write_in_doubt_goes_the_way_that_was_planned() {
        for (doubt, then) in
            [(Doubt::Probe, "probe key"), (Doubt::Resend, "call key"), (Doubt::Person, "needs_attention")]
        {
            let overdue = new(Plan::Effect(doubt)).1.overdue();
            for failure in [lost(), Err(overdue)] {
                let (host, mut drive, next) = new(Plan::Effect(doubt));
                assert_eq!(word(&next), "call key");
                assert_eq!(word(&returned(&mut drive, failure)), then);
                assert_eq!(*host.stored.lock().unwrap(), [StepState::Unknown]);
            }
            for known in [StepState::Intended, StepState::Unknown] {
                assert_eq!(word(&begin(Host::new(Some(known)), Plan::Effect(doubt)).2), then);
            }
        }
    }

    #[test]
    fn the_probe_decides() {
        let doubtful = || begin(Host::new(Some(StepState::Intended)), Plan::Effect(Doubt::Probe));
        let (host, mut drive, _) = doubtful();
        assert_eq!(word(&probed(&mut drive, Ok(Probe::Done(json!(7))))), "done 7");
        assert_eq!(*host.stored.lock().unwrap(), [StepState::Confirmed { result: json!(7) }]);
        assert_eq!(word(&probed(&mut doubtful().1, Ok(Probe::NotDone))), "call key");
        assert_eq!(word(&probed(&mut doubtful().1, Ok(Probe::Unknown))), "needs_attention");
        let (host, mut drive, _) = doubtful();
        let down = Error::new(ErrorKind::Unavailable, "look", "down");
        assert_eq!(word(&probed(&mut drive, Err(down))), "unavailable");
        assert!(host.stored.lock().unwrap().is_empty(), "it is as much in doubt as before");
    }

    #[test]
    fn a_write_that_never_arrives_is_not_sent_for_ever() {
        let (_, mut drive, mut next) = new(Plan::Effect(Doubt::Probe));
        let mut sent = 0;
        while let Next::Call { .. } = next {
            sent += 1;
            assert_eq!(word(&returned(&mut drive, lost())), "probe key");
            next = probed(&mut drive, Ok(Probe::NotDone));
        }
        assert_eq!((sent, word(&next).as_str()), (3, "needs_attention"));
    }

    #[test]
    fn an_answer_to_nothing_changes_nothing() {
        let (host, mut drive, _) = new(Plan::Effect(Doubt::Probe));
        assert_eq!(word(&probed(&mut drive, Ok(Probe::Done(json!(1))))), "internal");
        assert_eq!(word(&returned(&mut drive, Ok(json!(7)))), "done 7");
        assert_eq!(word(&returned(&mut drive, Ok(json!(8)))), "internal");
        assert_eq!(host.stored.lock().unwrap().len(), 1);
    }
}
