//! What people ask the hub for, and what it answered.

use std::time::Duration;

use bifrost::{ExecutionId, Run, Tenant, Timestamp};
use serde_json::json;

use super::work::example;
use crate::dice::Dice;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    Hire,
    LogCall,
    /// Of the person hired by that order.
    Reclaim(usize),
    Offboard(usize),
    Report,
    Clumsy,
}

/// One order. It is placed until the hub says that it is accepted, always under the same key.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) number: usize,
    pub(crate) tenant: &'static str,
    pub(crate) job: Job,
    /// How long after it is placed it may start, by the hub's wall.
    pub(crate) ahead: Option<Duration>,
    pub(crate) starts_at: Option<Timestamp>,
    pub(crate) cancelled: bool,
    pub(crate) accepted: Option<Accepted>,
    /// Its end was looked at.
    pub(crate) settled: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepted {
    pub(crate) id: ExecutionId,
    /// In true time.
    pub(crate) at: Duration,
}

impl Order {
    /// One more order of a tenant that has ordered `before`.
    pub(crate) fn draw(dice: &Dice, number: usize, tenant: &'static str, before: &[Order]) -> Self {
        let hired: Vec<usize> = before
            .iter()
            .filter(|order| order.tenant == tenant && order.job == Job::Hire)
            .map(|order| order.number)
            .collect();
        let job = match dice.below(12) {
            0..4 => Job::Hire,
            4..6 => Job::LogCall,
            6 if !hired.is_empty() => Job::Reclaim(*dice.pick(&hired)),
            7 if !hired.is_empty() => Job::Offboard(*dice.pick(&hired)),
            8..11 => Job::Report,
            11 => Job::Clumsy,
            _ => Job::LogCall,
        };
        let ahead = dice.chance(1, 3).then(|| Duration::from_secs(60 + dice.below(30 * 3600)));
        Self { number, tenant, job, ahead, starts_at: None, cancelled: false, accepted: None, settled: false }
    }

    /// Asks the hub for it.
    pub(crate) async fn place(&self, tenant: &Tenant) -> bifrost::Result<ExecutionId> {
        let run = match self.job {
            Job::Hire => Run::new(example::NAME, self.hire()),
            Job::LogCall => Run::new("log_call", json!({"summary": self.summary()})),
            Job::Reclaim(hire) => Run::new("reclaim", json!({"upn": upn(hire, self.tenant)})),
            Job::Offboard(hire) => {
                Run::new("offboard", json!({"upn": upn(hire, self.tenant), "summary": self.summary()}))
            }
            Job::Report => Run::new("report", ()),
            Job::Clumsy => Run::new("clumsy", ()),
        };
        let run = run.with_idempotency_key(format!("order {}", self.number));
        let run = match self.starts_at {
            Some(time) => run.starting_at(time),
            None => run,
        };
        Ok(tenant.start(run).await?.id())
    }

    fn hire(&self) -> serde_json::Value {
        json!({
            "name": name(self.number),
            "upn": upn(self.number, self.tenant),
            "country": "CH",
            "licence": "SPE_E3",
            "groups": ["All Staff", "Sales"],
        })
    }

    /// The summary of the one ticket it opens, if it opens one.
    pub(crate) fn summary(&self) -> String {
        match self.job {
            Job::Hire => format!("Onboard {}", name(self.number)),
            Job::Offboard(hire) => format!("Offboard {} by order {}", name(hire), self.number),
            _ => format!("Call {}", self.number),
        }
    }
}

fn name(number: usize) -> String {
    format!("Person {number:05}")
}

/// The sign-in name of whom order `hire` is about.
pub(crate) fn upn(hire: usize, tenant: &str) -> String {
    format!("person{hire:05}@{tenant}.com")
}
