//! What happens on a day, by dice: orders, edits, and everything that goes wrong.

use std::time::Duration;

use bifrost::Clock;
use bifrost::testing::{DEMO_CLIENT_ID, Fault, FaultRule, Provider, RetryAfter};

use super::orders::Order;
use super::person;
use super::work::{self, example};
use super::world::{CUSTOMERS, SIGNED_IN, World};
use crate::dice::Dice;

pub(crate) const DAY: Duration = Duration::from_secs(86_400);
const HOUR: i64 = 3600;

/// One thing that happens.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Order {
        tenant: &'static str,
        twice: bool,
    },
    /// Somebody changes their mind about the latest orders.
    Cancel,
    Edit {
        tenant: &'static str,
    },
    /// Somebody looks after what waits for a person.
    Person,
    /// A few requests end like that.
    Faults {
        fault: Fault,
        provider: Provider,
        after: u64,
        times: u64,
    },
    /// For a while, everything is refused like that.
    Storm {
        fault: Fault,
        provider: Provider,
    },
    StormOver,
    Outage {
        host: &'static str,
        lasts: Duration,
    },
    RevokeTokens {
        tenant: &'static str,
    },
    RevokeSignIns,
    WithdrawConsent {
        tenant: &'static str,
    },
    Jump {
        seconds: i64,
    },
    NetworkPanics,
    Doubles,
    DiskPanics {
        after: u32,
    },
    DiskRefuses {
        after: u32,
    },
    DiskFull,
    DiskHasRoom,
    Kill,
    Restart,
    Disable {
        tenant: &'static str,
    },
    Enable {
        tenant: &'static str,
    },
}

/// The plan of a day: what happens, and when.
pub(crate) fn plan(dice: &Dice) -> Vec<(Duration, Event)> {
    let mut plan = vec![(hours(8), Event::Person), (hours(17), Event::Person)];
    // On some days nobody works: then tenants are put to rest.
    let orders = if dice.chance(1, 6) { 0 } else { 4 + dice.below(10) };
    for _ in 0..orders {
        plan.push((any_time(dice), Event::Order { tenant: customer(dice), twice: dice.chance(1, 4) }));
    }
    for _ in 0..dice.below(3) {
        plan.push((any_time(dice), Event::Cancel));
        plan.push((any_time(dice), Event::Edit { tenant: customer(dice) }));
    }
    for _ in 0..dice.below(6) {
        trouble(dice, &mut plan);
    }
    plan.sort_by_key(|(at, _)| *at);
    plan
}

fn trouble(dice: &Dice, plan: &mut Vec<(Duration, Event)>) {
    let at = any_time(dice);
    let tenant = customer(dice);
    let until = (at + Duration::from_secs(60 + dice.below(4 * 3600))).min(DAY);
    let (provider, host) = *dice.pick(&[
        (Provider::Graph, "graph.microsoft.com"),
        (Provider::Halopsa, "halopsa.com"),
        (Provider::Identity, "login.microsoftonline.com"),
    ]);
    match dice.below(16) {
        0..3 => plan.push((at, faults(dice, provider))),
        3 => {
            let fault = Fault::throttled(retry_after(dice));
            plan.extend([(at, Event::Storm { fault, provider }), (until, Event::StormOver)]);
        }
        4 => {
            let fault = Fault::unavailable(retry_after(dice));
            plan.extend([(at, Event::Storm { fault, provider }), (until, Event::StormOver)]);
        }
        5 => plan.push((at, Event::Outage { host, lasts: until - at })),
        6 => plan.push((at, Event::RevokeTokens { tenant })),
        7 => plan.push((at, Event::RevokeSignIns)),
        8 => plan.push((at, Event::WithdrawConsent { tenant })),
        9 => {
            let seconds = *dice.pick(&[-24 * HOUR, -HOUR, HOUR, 24 * HOUR]);
            plan.push((at, Event::Jump { seconds }));
        }
        10 => plan.extend([(at, Event::NetworkPanics), (any_time(dice), Event::Doubles)]),
        11 => plan.push((at, Event::DiskPanics { after: u32::try_from(dice.below(20)).unwrap() })),
        12 => plan.push((at, Event::DiskRefuses { after: u32::try_from(dice.below(20)).unwrap() })),
        13 => plan.extend([(at, Event::DiskFull), (until, Event::DiskHasRoom)]),
        14 => plan.push((at, if dice.chance(2, 3) { Event::Kill } else { Event::Restart })),
        _ => plan.extend([(at, Event::Disable { tenant }), (until, Event::Enable { tenant })]),
    }
}

fn faults(dice: &Dice, provider: Provider) -> Event {
    let fault = match dice.below(8) {
        0..3 => Fault::DropAnswer,
        3 => Fault::CutBody { after_bytes: dice.below(40) as usize },
        4 => Fault::MalformedJson,
        5 => Fault::status(500),
        6 => Fault::Delay { millis: dice.below(90_000) },
        _ => Fault::Reset,
    };
    Event::Faults { fault, provider, after: dice.below(6), times: 1 + dice.below(4) }
}

fn retry_after(dice: &Dice) -> RetryAfter {
    match dice.below(4) {
        0 => RetryAfter::Absent,
        1 => RetryAfter::DateIn(dice.below(120)),
        _ => RetryAfter::Seconds(dice.below(120)),
    }
}

fn customer(dice: &Dice) -> &'static str {
    dice.pick::<&'static str>(&CUSTOMERS)
}

fn hours(count: u64) -> Duration {
    Duration::from_secs(count * 3600)
}

/// Some moment of the day, to the millisecond.
fn any_time(dice: &Dice) -> Duration {
    Duration::from_millis(dice.below(86_400_000))
}

impl World {
    /// Lets one thing happen.
    pub(crate) async fn happen(&mut self, event: Event) {
        self.findings.attempt();
        match event {
            Event::Order { tenant, twice } => self.order(tenant, twice).await,
            Event::Cancel => self.cancel_something().await,
            Event::Edit { tenant } => self.edit(tenant).await,
            Event::Person => person::look_after_everything(self).await,
            Event::Faults { fault, provider, after, times } => {
                self.sims.script(FaultRule::new(fault).on(provider).after(after).times(times));
            }
            Event::Storm { fault, provider } => self.sims.script(FaultRule::new(fault).on(provider)),
            Event::StormOver => self.sims.clear_faults(),
            Event::Outage { host, lasts } => self.network.take_down(host, self.now() + lasts),
            Event::RevokeTokens { tenant } => {
                self.sims.identity().revoke_access_tokens(tenant);
                self.sims.halopsa().revoke_tokens();
            }
            Event::RevokeSignIns => self.sims.identity().revoke_sign_ins(SIGNED_IN),
            Event::WithdrawConsent { tenant } => self.sims.identity().withdraw_consent(tenant, DEMO_CLIENT_ID),
            Event::Jump { seconds } => {
                self.clock.jump(seconds);
                self.note(true);
            }
            Event::NetworkPanics => self.network.panic_next(2),
            Event::Doubles => self.network.double_next(5),
            Event::DiskPanics { after } => self.disk.panic_after(after),
            Event::DiskRefuses { after } => self.disk.refuse_after(after),
            Event::DiskFull => {
                self.disk.set_full(true);
                self.note(false);
            }
            Event::DiskHasRoom => {
                self.disk.set_full(false);
                self.note(true);
            }
            Event::Kill => self.kill().await,
            Event::Restart => self.restart().await,
            // While the disk is full nobody can be switched off or on.
            Event::Disable { tenant } => drop(self.hub.tenants().disable(tenant).await),
            Event::Enable { tenant } => drop(self.hub.tenants().enable(tenant).await),
        }
    }

    /// Somebody orders something; a nervous one asks twice at the same time.
    async fn order(&mut self, tenant: &'static str, twice: bool) {
        let order = Order::draw(&self.dice, self.orders.len(), tenant, &self.orders);
        self.orders.push(order);
        self.place_again(twice).await;
    }

    /// Places every order that was not accepted yet.
    pub(crate) async fn place_again(&mut self, twice: bool) {
        for number in 0..self.orders.len() {
            if self.orders[number].accepted.is_some() {
                continue;
            }
            let wall = self.clock.now();
            let order = &mut self.orders[number];
            order.starts_at = order.starts_at.or_else(|| order.ahead.map(|ahead| wall.saturating_add(ahead)));
            let order = order.clone();
            let tenant = self.tenant(order.tenant);
            let placed = if twice {
                let (one, other) = futures_util::future::join(order.place(&tenant), order.place(&tenant)).await;
                if let (Ok(one), Ok(other)) = (&one, &other) {
                    self.check(one == other, || format!("order {number} became {one} and {other}"));
                }
                one.or(other)
            } else {
                order.place(&tenant).await
            };
            let at = self.now();
            self.orders[number].accepted = placed.ok().map(|id| super::orders::Accepted { id, at });
        }
    }

    async fn cancel_something(&mut self) {
        let Some(order) = self.orders.iter_mut().rev().find(|order| order.accepted.is_some() && !order.cancelled)
        else {
            return;
        };
        order.cancelled = true;
        let (tenant, id) = (order.tenant, order.accepted.unwrap().id);
        // One that is being taken up again, or on a full disk, goes on.
        let _ = self.tenant(tenant).cancel(id, "changed my mind").await;
    }

    async fn edit(&mut self, tenant: &'static str) {
        let number = self.dice.below(100);
        let tenant = self.tenant(tenant);
        // A full disk refuses.
        let _ = tenant.secrets().set(work::SECRET, format!("key number {number}")).await;
        let _ = tenant.config().set(example::HOURS, work::HOURS).await;
        if number < 30 {
            let _ = tenant.secrets().delete(work::SECRET).await;
        }
    }
}
