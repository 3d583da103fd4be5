//! From `tracing` into the queue: what is ours and loud enough, with the facts of the spans around it.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Once};

use arc_swap::ArcSwapOption;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record as Values};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

use super::queue::Queue;
use super::record::{Facts, Record};

/// Where records go. Swapped without a lock: a forked child finds none that a thread of its parent held.
static QUEUE: ArcSwapOption<Queue> = ArcSwapOption::const_empty();

/// The place in [`LEVELS`] of what is let through.
static LEVEL: AtomicU8 = AtomicU8::new(0);

/// From which number of Python's `logging` on each is let through.
const LEVELS: [(LevelFilter, u32); 6] = [
    (LevelFilter::OFF, u32::MAX),
    (LevelFilter::ERROR, 40),
    (LevelFilter::WARN, 30),
    (LevelFilter::INFO, 20),
    (LevelFilter::DEBUG, 10),
    (LevelFilter::TRACE, 5),
];

/// Records go to `queue` from now on.
pub(super) fn lead_to(queue: Arc<Queue>) {
    static INSTALLED: Once = Once::new();
    // Refused only where a test program has set one before.
    INSTALLED.call_once(|| drop(tracing::subscriber::set_global_default(Registry::default().with(Bridge))));
    QUEUE.store(Some(queue));
}

/// Records go nowhere from now on, unless they go to another queue already.
pub(super) fn lead_nowhere(queue: &Arc<Queue>) {
    let led = QUEUE.load_full();
    if led.is_some_and(|led| Arc::ptr_eq(&led, queue)) {
        QUEUE.store(None);
        set_level(u32::MAX);
    }
}

/// Lets through what is at least at `level` of Python's `logging`.
pub(super) fn set_level(level: u32) {
    let place = LEVELS.iter().rposition(|(_, number)| level <= *number).unwrap_or_default();
    let place = u8::try_from(place).unwrap_or_default();
    if LEVEL.swap(place, Ordering::Relaxed) != place {
        tracing::callsite::rebuild_interest_cache();
    }
}

fn level() -> LevelFilter {
    LEVELS[usize::from(LEVEL.load(Ordering::Relaxed))].0
}

fn is_wanted(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("bifrost") && *metadata.level() <= level()
}

/// See the module.
struct Bridge;

impl<S> Layer<S> for Bridge
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_wanted(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        is_wanted(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(level())
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        let mut facts = Facts::default();
        attributes.record(&mut facts);
        span.extensions_mut().insert(facts);
    }

    fn on_record(&self, id: &Id, values: &Values<'_>, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        if let Some(facts) = span.extensions_mut().get_mut::<Facts>() {
            values.record(facts);
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let queue = QUEUE.load();
        let Some(queue) = queue.as_ref() else { return };
        let mut facts = Facts::default();
        event.record(&mut facts);
        for span in ctx.event_scope(event).into_iter().flatten() {
            if let Some(around) = span.extensions().get::<Facts>() {
                facts.complete(around);
            }
        }
        queue.put(Record::new(event.metadata(), facts));
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::{self, Display};
    use std::time::Duration;

    use super::*;

    /// Fails the test when it is formatted.
    struct Unsaid;

    impl Display for Unsaid {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("formatted although it is disabled")
        }
    }

    #[test]
    fn what_is_loud_enough_arrives_with_the_facts_around_it() {
        let queue = Arc::new(Queue::new(10));
        lead_to(Arc::clone(&queue));
        set_level(25);
        tracing::warn!(target: "hyper::client", "not ours");
        tracing::info!(target: "bifrost_core::store", what = %Unsaid, "too quiet");
        let inside = tracing::error_span!(target: "bifrost_core::store", "call", tenant = "contoso", attempt = 1_u32);
        inside.in_scope(|| tracing::warn!(target: "bifrost_core::store", attempt = 2_u32, "said"));
        set_level(10);
        tracing::debug!(target: "bifrost_core::store", "louder now");
        let (records, dropped) = queue.fetch(Duration::ZERO).unwrap();
        let told: Vec<_> = records.iter().map(|record| record.message.as_str()).collect();
        assert_eq!((told, dropped), (vec!["said", "louder now"], 0));
        let facts = format!("{:?}", records[0].facts);
        assert_eq!(facts, r#"Facts([("attempt", Uint(2)), ("tenant", Text("contoso"))])"#);
        lead_nowhere(&queue);
        tracing::error!(target: "bifrost_core::store", what = %Unsaid, "nobody listens");
    }
}
