//! Group members by diff: what to add and what to remove so that exactly the wanted ones are left.

use std::collections::BTreeSet;

use bifrost_core::integration::Outbound;
use bifrost_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::Graph;
use super::groups::requests;

/// A change of a group's members, worked out and not made yet: the dry run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipPlan {
    /// The group.
    pub group: String,
    /// Ids to add, sorted.
    pub add: Vec<String>,
    /// Ids to remove, sorted.
    pub remove: Vec<String>,
    /// Ids that are members and stay.
    pub keep: Vec<String>,
}

impl MembershipPlan {
    /// Compares who is there with who shall be. Ids are compared without regard to case, as GUIDs are.
    pub fn new(
        group: impl Into<String>,
        present: impl IntoIterator<Item = String>,
        wanted: impl IntoIterator<Item = String>,
    ) -> Self {
        let present = lowered(present);
        let wanted = lowered(wanted);
        Self {
            group: group.into(),
            add: wanted.difference(&present).cloned().collect(),
            remove: present.difference(&wanted).cloned().collect(),
            keep: present.intersection(&wanted).cloned().collect(),
        }
    }

    /// True when there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }

    /// Makes the changes, additions first, so that nobody is without access in between.
    ///
    /// # Errors
    /// The first failure with the number of failures, after all other changes were made.
    pub async fn apply(&self, graph: &Graph) -> Result<()> {
        let added = graph.batch(self.additions(graph)?).await;
        let removed = graph.batch(self.removals()?).await;
        let failed = |outcome: Result<_>, harmless: ErrorKind| outcome.err().filter(|error| error.kind() != harmless);
        let added = added.into_iter().filter_map(|outcome| failed(outcome, ErrorKind::AlreadyExists));
        let removed = removed.into_iter().filter_map(|outcome| failed(outcome, ErrorKind::NotFound));
        let mut failures: Vec<Error> = added.chain(removed).collect();
        if failures.is_empty() {
            return Ok(());
        }
        let count = failures.len();
        Err(failures.swap_remove(0).with("name", &self.group).with("failed_changes", count))
    }

    fn additions(&self, graph: &Graph) -> Result<Vec<Outbound>> {
        let request = |id: &String| requests::add_member(graph.base(), &self.group, id);
        self.add.iter().map(request).collect()
    }

    fn removals(&self) -> Result<Vec<Outbound>> {
        self.remove.iter().map(|id| requests::remove_member(&self.group, id)).collect()
    }
}

fn lowered(ids: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    ids.into_iter().map(|id| id.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::graph::PROVIDER;
    use crate::graph::error::GraphClassifier;
    use crate::scripted::{Scripted, reply};

    #[tokio::test]
    async fn setting_members_reads_all_pages_and_changes_only_the_difference() {
        let next = "https://graph.microsoft.com/v1.0/groups/g/members?$skiptoken=x";
        let exists = json!({"error": {"code": "Request_BadRequest",
            "message": "One or more added object references already exist for the following modified properties: 'members'."}});
        let script = vec![
            reply(200, &json!({"id": "g", "groupTypes": [], "mailEnabled": false})),
            reply(200, &json!({"value": [{"id": "a"}], "@odata.nextLink": next})),
            reply(200, &json!({"value": [{"id": "b"}]})),
            reply(200, &json!({"responses": [{"id": "0", "status": 204}, {"id": "1", "status": 400, "body": exists}]})),
            reply(200, &json!({"responses": [{"id": "0", "status": 404}]})),
        ];
        let (scripted, connection) = Scripted::connect(PROVIDER, Arc::new(GraphClassifier), script);
        let groups = Graph::new(connection).unwrap().groups();
        let plan = groups.set_members("g", ["B", "c", "d"]).await.unwrap();
        assert_eq!((plan.add, plan.remove, plan.keep), (strings(["c", "d"]), strings(["a"]), strings(["b"])));
        assert_eq!(scripted.sent()[2].request.uri().to_string(), next);
    }

    #[tokio::test]
    async fn members_of_a_dynamic_group_are_left_alone() {
        let group = json!({"id": "g", "groupTypes": ["DynamicMembership"], "mailEnabled": false});
        let (scripted, connection) = Scripted::connect(PROVIDER, Arc::new(GraphClassifier), vec![reply(200, &group)]);
        let error = Graph::new(connection).unwrap().groups().set_members("g", ["a"]).await.unwrap_err();
        assert_eq!((error.kind(), scripted.sent().len()), (ErrorKind::Rejected, 1));
    }

    fn strings<const N: usize>(names: [&str; N]) -> Vec<String> {
        names.map(str::to_owned).to_vec()
    }

    #[test]
    fn case_and_repetition_make_no_change() {
        let plan = MembershipPlan::new("g", ["AB".to_owned()], ["ab".to_owned(), "Ab".to_owned()]);
        assert!(plan.is_empty());
        assert_eq!(plan.keep, ["ab"]);
    }

    proptest! {
        #[test]
        fn applying_the_plan_leaves_exactly_the_wanted(present in ids(), wanted in ids()) {
            let plan = MembershipPlan::new("g", present.clone(), wanted.clone());
            let mut members: BTreeSet<String> = present.into_iter().collect();
            for id in &plan.remove {
                prop_assert!(members.remove(id));
            }
            for id in &plan.add {
                prop_assert!(members.insert(id.clone()));
            }
            prop_assert_eq!(members, wanted.into_iter().collect());
        }
    }

    fn ids() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec("[a-f]{1,2}", 0..30)
    }
}
