//! Which tickets a list is about.

use bifrost_core::Timestamp;

use crate::call::Query;

/// Which tickets a list is about. Ids in lists are joined by commas, as HaloPSA wants them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TicketQuery(Query);

impl TicketQuery {
    /// All tickets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Those of one customer.
    #[must_use]
    pub fn client(self, id: i64) -> Self {
        self.with("client_id", id)
    }

    /// Those of one site.
    #[must_use]
    pub fn site(self, id: i64) -> Self {
        self.with("site_id", id)
    }

    /// Those of one contact.
    #[must_use]
    pub fn user(self, id: i64) -> Self {
        self.with("user_id", id)
    }

    /// Those assigned to one agent.
    #[must_use]
    pub fn agent(self, id: i64) -> Self {
        self.with("agent_id", id)
    }

    /// Those in one of these statuses.
    #[must_use]
    pub fn statuses(self, ids: impl IntoIterator<Item = i64>) -> Self {
        self.with("status", joined(ids))
    }

    /// Those of one of these types.
    #[must_use]
    pub fn types(self, ids: impl IntoIterator<Item = i64>) -> Self {
        self.with("requesttype", joined(ids))
    }

    /// Open ones only.
    #[must_use]
    pub fn open(self) -> Self {
        self.with("open_only", true)
    }

    /// Closed ones only.
    #[must_use]
    pub fn closed(self) -> Self {
        self.with("closed_only", true)
    }

    /// Those a search for `text` finds.
    #[must_use]
    pub fn search(self, text: &str) -> Self {
        self.with("search", text)
    }

    /// Those that changed since.
    #[must_use]
    pub fn updated_since(self, time: Timestamp) -> Self {
        self.with("lastupdatefromdate", time)
    }

    /// Those that happened between the two.
    #[must_use]
    pub fn occurred_between(self, start: Timestamp, end: Timestamp) -> Self {
        // HaloPSA's own spelling.
        self.with("datesearch", "dateoccured").with("startdate", start).with("enddate", end)
    }

    /// By falling instead of rising id. Tickets opened meanwhile move others to later pages, where they are read
    /// twice; none is missed.
    #[must_use]
    pub fn newest_first(self) -> Self {
        self.with("order", "id").with("orderdesc", true)
    }

    fn with(self, name: &'static str, value: impl ToString) -> Self {
        Self(self.0.with(name, value))
    }

    pub(super) fn to_query(&self) -> Query {
        self.0.clone()
    }
}

fn joined(ids: impl IntoIterator<Item = i64>) -> String {
    let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
    ids.join(",")
}
