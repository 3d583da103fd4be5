//! SIGKILL at random points under mixed load.
//!
//! A process (this program again: see `child`) works in several tenants at the same time and says each thing the hub
//! has acknowledged. It is killed after a random number of words or milliseconds, also while it opens the store; the
//! next one goes on from what it left. The world outside outlives them all: simulated providers, whose refresh tokens
//! rotate, and a peer that counts what it applies. After some lives, and at the end twice, this process opens the store
//! itself and compares it with all that was ever said.
//!
//! The seed replays the plan (who does what, when it is killed), not the interleaving.

mod child;
mod claims;
mod compare;
mod life;
mod look;
mod peer;
mod platforms;
mod said;
mod site;
mod work;

use std::sync::Arc;

pub(crate) use child::live;

use self::claims::Claims;
use self::life::{Killing, live_and_die};
use self::look::Look;
use self::peer::Peer;
use self::platforms::Platforms;
use self::site::Site;
use crate::findings::Findings;
use crate::lab::{Attack, Round};

pub(crate) const ATTACK: Attack =
    Attack { name: "crash", promise: "what was acknowledged survives SIGKILL, whole and once", unit: "kills", run };

fn run(round: &Round) -> Findings {
    round.in_real_time(kill_again_and_again(round))
}

async fn kill_again_and_again(round: &Round) -> Findings {
    let mut findings = Findings::default();
    let mut claims = Claims::default();
    let dice = round.dice();
    let folder = tempfile::tempdir().unwrap();
    let platforms = Arc::new(Platforms::start(dice.next()).await);
    let (peer, address) = Peer::start(crate::dice::Dice::new(dice.next()), Arc::clone(&platforms)).await;
    let site = Site { folder: folder.path().join("hub"), peer: address, platforms: platforms.addresses() };
    let mut look = Look::new(site.clone(), peer, platforms);
    let (kills, enough) = (round.scale(25, 200), round.scale(0, 20_000));
    let mut life = 0;
    while life < kills || (claims.acknowledged < enough && life < 4 * kills) {
        life += 1;
        findings.attempt();
        let told = child::Life { site: site.clone(), number: life, seed: dice.next() };
        live_and_die(&told, Killing::draw(&dice), &look.peer, &mut claims, &mut findings).await;
        if life % round.scale(8, 25) == 0 {
            look.compare(&mut claims, &mut findings).await;
        }
    }
    look.compare(&mut claims, &mut findings).await;
    // Once more after an orderly end, from the first execution on: nothing moved any more.
    look.afresh();
    look.compare(&mut claims, &mut findings).await;
    look.losses(&claims, &mut findings);
    look.outside(&claims, &mut findings);
    findings.check(claims.acknowledged >= enough, || format!("only {} acknowledgements", claims.acknowledged));
    measure(&look, &claims, &mut findings);
    findings
}

fn measure(look: &Look, claims: &Claims, findings: &mut Findings) {
    let (repeated, hung_up) = look.peer.troubles();
    let steps: usize = claims.steps.values().map(std::collections::BTreeMap::len).sum();
    for (name, figure) in [
        ("acknowledgements", claims.acknowledged),
        ("executions", claims.accepted.len() as u64),
        ("steps", steps as u64),
        ("settings", claims.settings.values().map(|versions| versions.durable).sum()),
        ("rotations", claims.tokens.values().sum()),
        ("grants lost with an answer under way", claims.lost.len() as u64),
        ("grants saved although an answer was lost", look.saved(claims)),
        ("effects applied", look.peer.applied().values().sum()),
        ("effects sent again", repeated),
        ("answers the peer withheld", hung_up),
        ("slowest opening in ms", claims.slowest_opening),
    ] {
        findings.count(name, figure as f64);
    }
}
