//! The nodes of the tree and the path a request takes through it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bifrost_core::integration::Cost;
use bifrost_core::policy::rate::{LimitScope, LimitShape, LimitUnit, RateLimit};
use bifrost_core::{ConnectionId, TenantId};

use super::node::{Block, Node};
use crate::http::classify::LearnedLimit;
use crate::http::signals::Direction;

/// Nodes beyond this many are given up, least recently used first, even if they still count something.
const MAX_NODES: usize = 100_000;
/// The tree is looked through for idle nodes each time it has grown by at least this many.
const SWEEP_EVERY: usize = 1_024;
/// And this often when it does not grow any more: what a busy hour has left behind is not kept for good.
const SWEEP_AFTER: Duration = Duration::from_secs(5 * 60);

/// The name of a node. The tenant is part of every name but the application's, which tenants share.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum NodeKey {
    App(Arc<str>),
    AppTenant(Arc<str>, TenantId),
    Tenant(TenantId),
    Resource(Arc<str>, TenantId, Arc<str>),
    Connection(TenantId, ConnectionId),
}

impl NodeKey {
    fn scope(&self) -> LimitScope {
        match self {
            Self::App(..) => LimitScope::App,
            Self::AppTenant(..) => LimitScope::AppTenant,
            Self::Tenant(..) => LimitScope::Tenant,
            Self::Resource(..) => LimitScope::Resource,
            Self::Connection(..) => LimitScope::Connection,
        }
    }

    fn label(&self) -> String {
        match self {
            Self::App(app) => format!("app {app}"),
            Self::AppTenant(_, tenant) => format!("app_tenant {tenant}"),
            Self::Tenant(tenant) => format!("tenant {tenant}"),
            Self::Resource(_, tenant, _) => format!("resource {tenant}"),
            Self::Connection(tenant, connection) => format!("connection {tenant}/{connection}"),
        }
    }
}

/// Who a request is counted on. A clone shares the names.
///
/// There is none without a tenant, so what one has used up or was told never counts for another:
///
/// ```compile_fail,E0061
/// use bifrost_core::ConnectionId;
/// use bifrost_integrations::http::BudgetPath;
///
/// let path = BudgetPath::new(&"app".into(), &ConnectionId::new("graph").unwrap(), None);
/// ```
#[derive(Debug, Clone)]
pub struct BudgetPath(Arc<Names>);

#[derive(Debug)]
struct Names {
    app: Arc<str>,
    tenant: TenantId,
    connection: ConnectionId,
    /// From the narrowest to the one that tenants share.
    nodes: Vec<NodeKey>,
}

impl BudgetPath {
    /// The path of a request that `app` sends for `tenant` over `connection`, to a `resource` with limits of its own
    /// if it has one.
    pub fn new(app: &Arc<str>, tenant: &TenantId, connection: &ConnectionId, resource: Option<&str>) -> Self {
        let resource = resource.map(|name| NodeKey::Resource(Arc::clone(app), tenant.clone(), name.into()));
        let mut nodes: Vec<NodeKey> = resource.into_iter().collect();
        nodes.push(NodeKey::Connection(tenant.clone(), connection.clone()));
        nodes.push(NodeKey::AppTenant(Arc::clone(app), tenant.clone()));
        nodes.push(NodeKey::Tenant(tenant.clone()));
        nodes.push(NodeKey::App(Arc::clone(app)));
        Self(Arc::new(Names { app: Arc::clone(app), tenant: tenant.clone(), connection: connection.clone(), nodes }))
    }

    pub(super) fn app(&self) -> &Arc<str> {
        &self.0.app
    }

    pub(super) fn tenant(&self) -> &TenantId {
        &self.0.tenant
    }

    pub(super) fn connection(&self) -> &ConnectionId {
        &self.0.connection
    }

    pub(super) fn resource(&self) -> Option<&NodeKey> {
        self.node(LimitScope::Resource)
    }

    fn node(&self, scope: LimitScope) -> Option<&NodeKey> {
        self.0.nodes.iter().find(|key| key.scope() == scope)
    }
}

/// Why a request cannot go now, and at which node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blocked {
    pub(super) scope: LimitScope,
    pub(super) block: Block,
}

#[derive(Debug)]
pub(super) struct Tree {
    limits: Vec<RateLimit>,
    nodes: HashMap<NodeKey, Node>,
    sweep_at: usize,
    sweep_by: Duration,
}

impl Tree {
    pub(super) fn new(limits: Vec<RateLimit>) -> Self {
        Self { limits, nodes: HashMap::new(), sweep_at: SWEEP_EVERY, sweep_by: Duration::ZERO }
    }

    /// Decides about a request; takes nothing. The narrowest node that blocks answers, so that a request held up by its
    /// own limits never holds up others at a node they share.
    pub(super) fn check(&mut self, path: &BudgetPath, cost: Cost, now: Duration) -> Result<(), Blocked> {
        for key in &path.0.nodes {
            let Some(node) = self.nodes.get_mut(key) else { continue };
            if let Err(block) = node.check(cost, now) {
                let scope = key.scope();
                return Err(Blocked { scope, block });
            }
        }
        Ok(())
    }

    /// Takes what a request costs at every node of its path; returns the nodes that it is the trial of.
    pub(super) fn take(&mut self, path: &BudgetPath, cost: Cost, now: Duration) -> Vec<LimitScope> {
        if now >= self.sweep_by {
            self.sweep(now);
        }
        let mut trials = Vec::new();
        for key in &path.0.nodes {
            let limited = || self.limits.iter().any(|limit| limit.scope == key.scope());
            let trial = match self.nodes.get_mut(key) {
                Some(node) => node.take(cost, now),
                None if limited() => self.node(key, now).take(cost, now),
                None => continue,
            };
            if trial {
                trials.push(key.scope());
            }
        }
        trials
    }

    /// When the last closed gate on the path opens, if one is closed.
    pub(super) fn opens_at(&self, path: &BudgetPath, cost: Cost, now: Duration) -> Option<Duration> {
        let nodes = path.0.nodes.iter().filter_map(|key| self.nodes.get(key));
        nodes.filter_map(|node| node.opens_at(cost, now)).max()
    }

    /// The node of this scope on the path, made if it is missing; the connection's if the path has none of this scope.
    pub(super) fn at(&mut self, path: &BudgetPath, scope: LimitScope, now: Duration) -> Option<&mut Node> {
        let key = path.node(scope).or_else(|| path.node(LimitScope::Connection))?;
        Some(self.node(key, now))
    }

    /// The node of this scope on the path, if it exists.
    pub(super) fn existing(&mut self, path: &BudgetPath, scope: LimitScope) -> Option<&mut Node> {
        self.nodes.get_mut(path.node(scope)?)
    }

    /// How often in a row such requests were asked to wait at a node, the coming time included.
    pub(super) fn strikes(&self, path: &BudgetPath, scope: LimitScope, direction: Direction, now: Duration) -> u32 {
        let key = path.node(scope).or_else(|| path.node(LimitScope::Connection));
        let node = key.and_then(|key| self.nodes.get(key));
        node.map_or(1, |node| node.strikes(direction, now))
    }

    /// Counts by `learned` from now on.
    pub(super) fn learn(&mut self, path: &BudgetPath, learned: &LearnedLimit, now: Duration) {
        let published = self.limits.iter().find(|limit| limit.scope == learned.scope && limit.unit == learned.unit);
        let limit = RateLimit {
            scope: learned.scope,
            unit: learned.unit,
            amount: learned.amount,
            per: learned.per,
            shape: published.map_or(LimitShape::Window, |limit| limit.shape),
            source: "named by the provider in an answer",
            as_of: "",
        };
        if let Some(node) = self.at(path, learned.scope, now) {
            node.learn(&limit, now);
        }
    }

    /// The fullest node of each scope and unit, by name.
    pub(super) fn fullest(&self, now: Duration) -> BTreeMap<String, f64> {
        let mut fullest: BTreeMap<(LimitScope, LimitUnit), (&NodeKey, f64)> = BTreeMap::new();
        for (key, node) in &self.nodes {
            for (unit, used) in node.used(now) {
                let best = fullest.entry((key.scope(), unit)).or_insert((key, used));
                if (used, &key) > (best.1, &best.0) {
                    *best = (key, used);
                }
            }
        }
        let named = fullest.into_iter().map(|((_, unit), (key, used))| (name(key, unit), used.min(1.0)));
        named.collect()
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    fn node(&mut self, key: &NodeKey, now: Duration) -> &mut Node {
        let crowded = self.nodes.len() >= self.sweep_at && !self.nodes.contains_key(key);
        if crowded || now >= self.sweep_by {
            self.sweep(now);
        }
        let limits = self.limits.iter().filter(|limit| limit.scope == key.scope());
        self.nodes.entry(key.clone()).or_insert_with(|| Node::new(limits, now))
    }

    /// Drops what a new node would decide the same without, and the least recently used ones beyond the bound.
    fn sweep(&mut self, now: Duration) {
        self.nodes.retain(|_, node| !node.is_idle(now));
        if self.nodes.len() >= MAX_NODES {
            let mut ages: Vec<Duration> = self.nodes.values().map(Node::last_used).collect();
            ages.sort_unstable();
            let cut = ages.get(MAX_NODES / 10).copied().unwrap_or(now);
            self.nodes.retain(|_, node| node.last_used() > cut);
        }
        self.nodes.shrink_to(self.nodes.len() * 2);
        self.sweep_at = (self.nodes.len() * 2).clamp(SWEEP_EVERY, MAX_NODES);
        self.sweep_by = now + SWEEP_AFTER;
    }
}

fn name(key: &NodeKey, unit: LimitUnit) -> String {
    let unit = match unit {
        LimitUnit::Requests => "requests",
        LimitUnit::Units => "units",
        LimitUnit::Writes => "writes",
    };
    format!("{} {unit}", key.label())
}
