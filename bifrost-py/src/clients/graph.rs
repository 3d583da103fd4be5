//! Microsoft Graph.

use bifrost::graph::{
    Filter, Graph, LicenseAssignment, ListQuery, MembershipPlan, NewUser, Page, UserUpdate, random_password,
};
use bifrost::{Connection, Context, Result, Secret, SystemEntropy};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Call, data, page};

/// The client, on the hub's clock where that is known.
///
/// # Errors
/// `InvalidInput` when the connection does not lead to Graph.
pub(super) fn client(connection: Connection, ctx: Option<&Context>) -> Result<Graph> {
    let graph = Graph::new(connection)?;
    Ok(match ctx {
        Some(ctx) => graph.with_clock(ctx.clock()),
        None => graph,
    })
}

pub(super) async fn call(connection: Connection, call: Call) -> Result<Value> {
    let graph = client(connection, call.ctx.as_ref())?;
    match call.area.as_str() {
        "users" => users(&graph, call).await,
        "groups" => groups(&graph, call).await,
        "licenses" => licenses(&graph, call).await,
        _ => Err(call.unknown()),
    }
}

async fn users(graph: &Graph, call: Call) -> Result<Value> {
    let users = graph.users();
    match call.operation.as_str() {
        "get" => data(users.get(&call.args::<ById>()?.id).await?),
        "get_opt" => data(users.get_opt(&call.args::<ById>()?.id).await?),
        "find_by_upn" => data(users.find_by_upn(&call.args::<ByUpn>()?.upn).await?),
        "create" => data(users.create(&new_user(call).await?).await?),
        "update" => {
            let Update { id, set } = call.args()?;
            let update = set.into_iter().fold(UserUpdate::new(), |update, (name, value)| update.set(name, value));
            data(users.update(&id, &update).await?)
        }
        "delete" => data(users.delete(&call.args::<ById>()?.id).await?),
        "page" => match call.args::<List>()?.into_position()? {
            Position::First(query) => turned(users.page(&query).await?),
            Position::After(token) => turned(users.next_page(&token).await?),
        },
        "count" => {
            let Count { filter, advanced } = call.args()?;
            let filter = filter.map(|text| Filter::raw(text, advanced));
            data(users.count(filter.as_ref()).await?)
        }
        _ => Err(call.unknown()),
    }
}

async fn groups(graph: &Graph, call: Call) -> Result<Value> {
    let groups = graph.groups();
    match call.operation.as_str() {
        "get" => data(groups.get(&call.args::<ById>()?.id).await?),
        "get_opt" => data(groups.get_opt(&call.args::<ById>()?.id).await?),
        "find_by_name" => data(groups.find_by_name(&call.args::<ByName>()?.name).await?),
        "require_by_name" => data(groups.require_by_name(&call.args::<ByName>()?.name).await?),
        "page" => match call.args::<List>()?.into_position()? {
            Position::First(query) => turned(groups.page(&query).await?),
            Position::After(token) => turned(groups.next_page(&token).await?),
        },
        "members" => {
            let Members { id, resume } = call.args()?;
            match resume {
                None => turned(groups.members_page(&id).await?),
                Some(token) => turned(groups.next_members_page(&token.parse()?).await?),
            }
        }
        "add_member" => {
            let Member { id, object } = call.args()?;
            data(groups.add_member(&id, &object).await?)
        }
        "remove_member" => {
            let Member { id, object } = call.args()?;
            data(groups.remove_member(&id, &object).await?)
        }
        "plan_members" => {
            let Wanted { id, wanted } = call.args()?;
            data(groups.plan_members(&id, wanted).await?)
        }
        "apply_members" => data(call.args::<MembershipPlan>()?.apply(graph).await?),
        "set_members" => {
            let Wanted { id, wanted } = call.args()?;
            data(groups.set_members(&id, wanted).await?)
        }
        _ => Err(call.unknown()),
    }
}

async fn licenses(graph: &Graph, call: Call) -> Result<Value> {
    let licenses = graph.licenses();
    match call.operation.as_str() {
        "subscribed_skus" => {
            let Nothing {} = call.args()?;
            data(licenses.subscribed_skus().await?)
        }
        "require_sku" => data(licenses.require_sku(&call.args::<ByName>()?.name).await?),
        "assign" => {
            let Assign { user, sku, without_plans } = call.args()?;
            let license = LicenseAssignment::new(sku).without_plans(without_plans);
            data(licenses.assign(&user, &license).await?)
        }
        "assign_by_name" => {
            let AssignByName { user, name } = call.args()?;
            data(licenses.assign_by_name(&user, &name).await?)
        }
        "remove" => {
            let Remove { user, sku } = call.args()?;
            data(licenses.remove(&user, sku).await?)
        }
        _ => Err(call.unknown()),
    }
}

fn turned<T: Serialize>(found: Page<T>) -> Result<Value> {
    page(found.items, found.next, found.total)
}

/// The user to create. Its password is a secret by name, the text that was given, or made here.
async fn new_user(mut call: Call) -> Result<NewUser> {
    let named = match call.secrets.iter().position(|secret| secret.place() == "/password") {
        Some(place) => Some(call.secrets.swap_remove(place).resolve(call.ctx.as_ref()).await?),
        None => None,
    };
    let New { upn, display_name, password, keep_password, set } = call.args()?;
    let given = named.or_else(|| password.map(Secret::from));
    let password = given.unwrap_or_else(|| random_password(&SystemEntropy));
    let mut user =
        set.into_iter().fold(NewUser::new(upn, display_name, password), |user, (name, value)| user.set(name, value));
    if keep_password {
        user = user.keep_password();
    }
    Ok(user)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ById {
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ByUpn {
    upn: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ByName {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    upn: String,
    display_name: String,
    password: Option<String>,
    #[serde(default)]
    keep_password: bool,
    /// Any other property, by Graph's name.
    #[serde(default)]
    set: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    id: String,
    /// Properties by Graph's name; null empties one.
    set: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Count {
    filter: Option<String>,
    #[serde(default)]
    advanced: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct List {
    select: Option<Vec<String>>,
    filter: Option<String>,
    advanced: bool,
    search: Option<(String, String)>,
    order_by: Option<String>,
    expand: Option<String>,
    page_size: Option<u16>,
    count: bool,
    resume: Option<String>,
}

/// Where a list goes on.
enum Position {
    First(ListQuery),
    /// The token holds the query.
    After(bifrost::graph::ResumeToken),
}

impl List {
    fn into_position(self) -> Result<Position> {
        if let Some(token) = self.resume {
            return Ok(Position::After(token.parse()?));
        }
        let mut query = ListQuery::new();
        if let Some(properties) = self.select {
            query = query.select(properties);
        }
        if let Some(text) = self.filter {
            query = query.filter(Filter::raw(text, self.advanced));
        }
        if let Some((property, text)) = self.search {
            query = query.search(&property, &text);
        }
        if let Some(order) = self.order_by {
            query = query.order_by(order);
        }
        if let Some(relation) = self.expand {
            query = query.expand(relation);
        }
        if let Some(items) = self.page_size {
            query = query.page_size(items);
        }
        if self.count {
            query = query.count();
        }
        Ok(Position::First(query))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    id: String,
    resume: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    id: String,
    object: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    id: String,
    wanted: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Assign {
    user: String,
    sku: Uuid,
    #[serde(default)]
    without_plans: Vec<Uuid>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AssignByName {
    user: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Remove {
    user: String,
    sku: Uuid,
}
