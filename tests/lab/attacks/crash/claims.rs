//! What has been acknowledged so far, over all lives, taken down from what they said.

use std::collections::{BTreeMap, BTreeSet};

use bifrost::ExecutionId;
use bifrost::connection::Cause;

use super::said::{Grant, Said, Setting};
use super::work::{Order, Outcome};
use crate::findings::Findings;

/// An execution: its tenant and its id.
pub(crate) type Of = (String, ExecutionId);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// How much was acknowledged; what is said again in another life counts once.
    pub(crate) acknowledged: u64,
    /// Asked for; the answer may have been lost with the process.
    pub(crate) tried: BTreeSet<(String, Order)>,
    pub(crate) accepted: BTreeMap<(String, Order), ExecutionId>,
    pub(crate) steps: BTreeMap<Of, BTreeMap<String, u64>>,
    pub(crate) finished: BTreeMap<Of, Outcome>,
    pub(crate) settings: BTreeMap<(String, Setting), Versions>,
    /// The last token of each sign-in.
    pub(crate) tokens: BTreeMap<Grant, u64>,
    /// Sign-ins that were lost, and the cause that was given.
    pub(crate) lost: BTreeMap<Grant, (Option<Cause>, bool)>,
    /// The longest it took to open the hub.
    pub(crate) slowest_opening: u64,
}

/// One setting over time.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Versions {
    /// The last that was acknowledged, and the last that was asked for.
    pub(crate) set: u64,
    pub(crate) tried: u64,
    /// How many are known to be durable, and how many were asked for.
    pub(crate) durable: u64,
    pub(crate) tries: u64,
}

impl Claims {
    /// Takes down one line; what contradicts an earlier one is a violation.
    pub(crate) fn hear(&mut self, said: Said, findings: &mut Findings) {
        match said {
            Said::Open { millis } => self.slowest_opening = self.slowest_opening.max(millis),
            Said::Trying { tenant, order } => drop(self.tried.insert((tenant, order))),
            Said::Accepted { tenant, order, id } => {
                self.acknowledged += 1;
                self.accepted.insert((tenant, order), id);
            }
            Said::Step { tenant, id, name, value } => self.step((tenant, id), name, value, findings),
            Said::Finished { tenant, id, output } => {
                self.acknowledged += 1;
                self.finished.insert((tenant, id), output);
            }
            Said::Setting { tenant, setting, version } => {
                let versions = self.settings.entry((tenant, setting)).or_default();
                versions.tried = version;
                versions.tries += 1;
            }
            Said::Set { tenant, setting, version } => {
                self.acknowledged += 1;
                let versions = self.settings.entry((tenant, setting)).or_default();
                versions.set = version;
                versions.durable += 1;
            }
            Said::Found { tenant, setting, version } => self.found(tenant, setting, version, findings),
            Said::Token { grant, generation } => self.token(grant, generation, findings),
            Said::Lost { grant, cause, advised } => drop(self.lost.insert(grant, (cause, advised))),
            Said::Wrong { what } => findings.violation(what),
        }
    }

    fn step(&mut self, of: Of, name: String, value: u64, findings: &mut Findings) {
        let known = self.steps.entry(of.clone()).or_default().insert(name.clone(), value);
        match known {
            None => self.acknowledged += 1,
            Some(known) => findings.check(known == value, || format!("{of:?}: {name} was {known} and became {value}")),
        }
    }

    /// What a setting is when a hub is opened: the last one that was acknowledged, or one that was on its way.
    pub(crate) fn found(&mut self, tenant: String, setting: Setting, version: u64, findings: &mut Findings) {
        let versions = self.settings.entry((tenant.clone(), setting)).or_default();
        let on_its_way = versions.tried > versions.set && version == versions.tried;
        findings.check(version == versions.set || on_its_way, || {
            format!("{tenant}: {setting:?} is {version}, acknowledged was {}, tried {}", versions.set, versions.tried)
        });
        versions.durable += u64::from(on_its_way && version != versions.set);
        versions.set = versions.set.max(version);
    }

    /// Tokens of one sign-in are numbered: one that comes again is the one that was shown, an earlier one means that a
    /// later one was lost.
    pub(crate) fn token(&mut self, grant: Grant, generation: u64, findings: &mut Findings) {
        let known = self.tokens.entry(grant.clone()).or_default();
        findings.check(generation >= *known, || format!("{grant:?}: token {known} was shown, now {generation}"));
        if generation > *known {
            *known = generation;
            self.acknowledged += 1;
        }
    }

    /// Takes down what stands in the store although nobody heard of it: from here on it counts as acknowledged.
    pub(crate) fn adopt(&mut self, tenant: &str, order: Order, id: ExecutionId) {
        self.accepted.insert((tenant.to_owned(), order), id);
    }
}
