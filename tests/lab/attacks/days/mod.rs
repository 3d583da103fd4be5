//! The whole hub, day after day, in virtual time: three customers' work on the simulated providers, and all the weather
//! there is.
//!
//! ```text
//! weather ─► events of a day ─► world (hub, providers, network, disk, clock) ─► checks on every evening
//! ```
//! One thread and seeded chance: the same seed gives the same days, down to the bytes on the disk. So a violation is
//! replayed by its seed, and the lab attacks that promise too: worlds are lived twice, and every evening's disk must be
//! the same.

mod checks;
mod clock;
mod disk;
mod history;
mod network;
mod orders;
mod person;
mod weather;
mod work;
mod world;

use std::time::Duration;

use crate::findings::Findings;
use crate::lab::{Attack, Round};
use weather::DAY;
use world::{CUSTOMERS, TENANTS, World};

pub(crate) const ATTACK: Attack = Attack {
    name: "days",
    promise: "whatever the weather: nothing is lost, done twice, early, late or without an owner, and the same seed is \
              the same story",
    unit: "events",
    run,
};

fn run(round: &Round) -> Findings {
    let dice = round.dice();
    let (worlds, days) = (round.scale(3, 10), round.scale(5, 30));
    let twice = round.scale(1, worlds);
    let mut findings = Findings::default();
    for number in 0..worlds {
        let seed = dice.next();
        let (found, hashes) = lives(round, number, seed, days);
        findings.add(found);
        if number < twice {
            let (found, again) = lives(round, number, seed, days);
            findings.add(found);
            let differs = hashes.iter().zip(&again).position(|(one, other)| one != other);
            findings.check(differs.is_none() && hashes.len() == again.len(), || {
                format!("world {number} was lived twice, and on day {differs:?} the disks differ")
            });
        }
    }
    findings
}

/// Lives through a world: what was found, and a hash of the disk for each evening.
fn lives(round: &Round, number: u64, seed: u64, days: u64) -> (Findings, Vec<u64>) {
    round.in_virtual_time(async {
        let mut world = World::new(format!("world {number}"), seed).await;
        let mut hashes = Vec::new();
        for _ in 0..days {
            one_day(&mut world).await;
            checks::evening(&mut world).await;
            hashes.push(world.disk.hash(&TENANTS).await);
            world.findings.count("days", 1.0);
        }
        clear_up(&mut world).await;
        checks::at_the_end(&mut world).await;
        hashes.push(world.disk.hash(&TENANTS).await);
        world.findings.count("requests to providers", world.sims.request_count() as f64);
        world.findings.count("orders", world.orders.len() as f64);
        (world.findings, hashes)
    })
}

async fn one_day(world: &mut World) {
    let morning = world.now();
    for (at, event) in weather::plan(&world.dice) {
        pause((morning + at).saturating_sub(world.now())).await;
        world.happen(event).await;
    }
    pause((morning + DAY).saturating_sub(world.now())).await;
}

/// The weather is over, the clock is right, people sign in: then all that was accepted comes to its end.
async fn clear_up(world: &mut World) {
    world.sims.clear_faults();
    world.network.heal();
    world.disk.heal();
    world.clock.jump(-world.clock.ahead_millis() / 1000);
    world.note(true);
    for name in CUSTOMERS {
        world.hub.tenants().enable(name).await.unwrap();
    }
    person::look_after_everything(world).await;
    pause(2 * DAY).await;
    for name in CUSTOMERS {
        // A grant that was revoked while nobody used it shows only now.
        let _ = world.tenant(name).connections().test("graph").await;
    }
    person::look_after_everything(world).await;
    pause(Duration::from_secs(3600)).await;
}

async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}
