//! The process that is killed: it opens the hub and works in every tenant at the same time until it dies.

use std::collections::VecDeque;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bifrost::credential::{Token, TokenKey};
use bifrost::{Clock as _, Connection, ExecutionHandle, Hub, Result, Run, SystemClock, Tenant};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::platforms::{FORGIVING, STRICT, TENANTS};
use super::said::{Mouth, Said, Setting};
use super::site::{self, Site};
use super::work::{self, Order};
use crate::dice::Dice;

/// Tasks that start executions in each tenant, and how many executions each has under way.
const STARTERS: u64 = 3;
const UNDER_WAY: usize = 4;

/// What a process is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Life {
    pub(crate) site: Site,
    /// Counts the lives, from 1.
    pub(crate) number: u64,
    pub(crate) seed: u64,
}

/// Lives the life that the word describes. It ends when it is killed.
pub(crate) fn live(words: &[String]) -> ExitCode {
    let life: Life = serde_json::from_str(&words[0]).unwrap();
    std::panic::set_hook(Box::new(|panic| {
        say(&Said::Wrong { what: format!("a process panicked: {panic}") });
    }));
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let ended = builder.worker_threads(2).enable_all().build().unwrap().block_on(work(&Arc::new(life)));
    say(&Said::Wrong { what: format!("a process ended by itself: {ended:?}") });
    ExitCode::FAILURE
}

/// One line in one write: what is killed in the middle of it has not said it.
fn say(said: &Said) {
    let mut line = serde_json::to_vec(said).unwrap();
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    // Nobody listens any more: whoever killed this process is through with it.
    let _ = out.write_all(&line).and_then(|()| out.flush());
}

async fn work(life: &Arc<Life>) -> Result<()> {
    let mouth: Mouth = Arc::new(|said| say(&said));
    let begun = Instant::now();
    let hub = life.site.open(&mouth).await?;
    say(&Said::Open { millis: begun.elapsed().as_millis() as u64 });
    life.site.furnish(&hub).await?;
    let mut tasks = tokio::task::JoinSet::new();
    for name in TENANTS {
        let worker = |hub: &Hub, which: u64| Worker {
            life: Arc::clone(life),
            tenant: hub.tenant(name).unwrap(),
            which,
            dice: Dice::new(life.seed ^ (which << 32) ^ u64::from(name.as_bytes()[0])),
        };
        for which in 0..STARTERS {
            tasks.spawn(worker(&hub, which).start_executions());
        }
        tasks.spawn(worker(&hub, STARTERS).change_settings());
        for (which, connection) in [FORGIVING, STRICT].into_iter().enumerate() {
            tasks.spawn(worker(&hub, STARTERS + 1 + which as u64).rotate_tokens(connection));
        }
    }
    match tasks.join_next().await {
        Some(Ok(ended)) => ended,
        _ => Err(bifrost::Error::internal("work", "a task panicked")),
    }
}

/// One task of one tenant.
struct Worker {
    life: Arc<Life>,
    tenant: Tenant,
    which: u64,
    dice: Dice,
}

impl Worker {
    fn name(&self) -> String {
        self.tenant.id().to_string()
    }

    async fn start_executions(self) -> Result<()> {
        let mut under_way: VecDeque<ExecutionHandle> = VecDeque::new();
        for number in 0_u64.. {
            let order = Order {
                key: format!("{}.{}.{number}", self.life.number, self.which),
                reads: self.dice.chance(1, 4),
                nests: self.dice.chance(1, 6),
                opens_ticket: self.dice.chance(1, 30),
            };
            say(&Said::Trying { tenant: self.name(), order: order.clone() });
            let mut run = run(&order);
            if self.dice.chance(1, 10) {
                run = run.starting_at(SystemClock::new().now().saturating_add(Duration::from_millis(100)));
            }
            let handle = self.tenant.start(run).await?;
            say(&Said::Accepted { tenant: self.name(), order, id: handle.id() });
            under_way.push_back(handle);
            if under_way.len() > self.dice.below(UNDER_WAY as u64) as usize
                && let Some(oldest) = under_way.pop_front()
            {
                self.wait_for(&oldest).await?;
            }
        }
        Ok(())
    }

    async fn wait_for(&self, handle: &ExecutionHandle) -> Result<()> {
        let output = handle.wait().await?.into_output()?;
        let output = serde_json::from_value(output).unwrap();
        say(&Said::Finished { tenant: self.name(), id: handle.id(), output });
        Ok(())
    }

    async fn change_settings(self) -> Result<()> {
        let found = self.tenant.config().get("version").await?.and_then(|value| value.as_u64()).unwrap_or_default();
        say(&Said::Found { tenant: self.name(), setting: Setting::Config, version: found });
        for number in 1_u64.. {
            let version = self.life.number * 1_000_000 + number;
            let setting = if self.dice.chance(1, 2) { Setting::Config } else { Setting::Secret };
            say(&Said::Setting { tenant: self.name(), setting, version });
            match setting {
                Setting::Config => self.tenant.config().set("version", version).await?,
                Setting::Secret => self.tenant.secrets().set("version", format!("hush-{version}")).await?,
            }
            say(&Said::Set { tenant: self.name(), setting, version });
            sleep(Duration::from_millis(self.dice.below(30))).await;
        }
        Ok(())
    }

    /// Has one token after the other refused: each is replaced by spending the refresh token.
    async fn rotate_tokens(self, id: &'static str) -> Result<()> {
        loop {
            let connection = self.tenant.connections().get(id).await?;
            let Err(error) = self.rotate_one(&connection).await;
            if !site::must_sign_in(&error) {
                return Err(error);
            }
            let status = self.tenant.connections().status(id).await?;
            let advised = error.suggested_action().is_some() && status.next_action.is_some();
            say(&Said::Lost { grant: site::grant(&connection), cause: status.cause, advised });
            self.life.site.reconnect(&self.tenant, id).await?;
        }
    }

    async fn rotate_one(&self, connection: &Connection) -> Result<std::convert::Infallible> {
        let key: TokenKey = connection.default_token();
        let mut token: Token = connection.tokens().token(&key).await?;
        loop {
            say(&Said::Token { grant: site::grant(connection), generation: token.generation() });
            sleep(Duration::from_millis(self.dice.below(60))).await;
            token = connection.tokens().replace(&key, &token).await?;
        }
    }
}

/// How an order is started, the first time and every other.
pub(crate) fn run(order: &Order) -> Run {
    Run::new(work::MIXED, order).with_idempotency_key(&order.key)
}
