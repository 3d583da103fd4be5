//! HaloPSA.

mod args;

use bifrost::halopsa::tickets::ClosingAction;
use bifrost::halopsa::{
    ClientQuery, HaloPsa, NewAction, NewClient, NewSite, NewTicket, NewUser, Page, Reference, Resolution, ResumeToken,
    TicketQuery, TicketUpdate, UserQuery,
};
use bifrost::{Connection, Result, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::args::{
    AddAction, AssignTicket, ByEmail, ById, ByName, CreateClient, CreateSite, CreateTicket, CreateUser, FindAction,
    FindTicket, GetAction, ListClients, ListSites, ListTickets, ListUsers, Nothing, OfTicket, ResolveTicket,
    UpdateTicket,
};
use super::{Call, data, page};

pub(super) async fn call(connection: Connection, call: Call) -> Result<Value> {
    let halo = HaloPsa::new(connection)?;
    match call.name() {
        ("clients", _) => clients(&halo, call).await,
        ("sites", _) => sites(&halo, call).await,
        ("users", _) => users(&halo, call).await,
        ("tickets", _) => tickets(&halo, call).await,
        ("actions", _) => actions(&halo, call).await,
        ("agents", "get") => data(halo.agents().get(call.args::<ById>()?.id).await?),
        ("agents", "me") => {
            let Nothing {} = call.args()?;
            data(halo.agents().me().await?)
        }
        ("agents", "list") => {
            let Nothing {} = call.args()?;
            data(halo.agents().list().await?)
        }
        ("lookups", _) => lookups(&halo, call).await,
        _ => Err(call.unknown()),
    }
}

async fn clients(halo: &HaloPsa, call: Call) -> Result<Value> {
    let clients = halo.clients();
    match call.operation.as_str() {
        "get" => data(clients.get(call.args::<ById>()?.id).await?),
        "page" => {
            let args: ListClients = call.args()?;
            let token = position(args.resume.as_deref())?;
            turned(clients.page(&args.query(), token.as_ref()).await?)
        }
        "find_by_name" => data(clients.find_by_name(&call.args::<ByName>()?.name).await?),
        "require_by_name" => data(clients.require_by_name(&call.args::<ByName>()?.name).await?),
        "create" => {
            let CreateClient { name, set } = call.args()?;
            let new = set.into_iter().fold(NewClient::new(name), |new, (field, value)| new.set(field, value));
            data(clients.create(&new).await?)
        }
        _ => Err(call.unknown()),
    }
}

async fn sites(halo: &HaloPsa, call: Call) -> Result<Value> {
    let sites = halo.sites();
    match call.operation.as_str() {
        "get" => data(sites.get(call.args::<ById>()?.id).await?),
        "page" => {
            let ListSites { client_id, resume } = call.args()?;
            turned(sites.page(client_id, position(resume.as_deref())?.as_ref()).await?)
        }
        "create" => {
            let CreateSite { client_id, name, set } = call.args()?;
            let new = set.into_iter().fold(NewSite::new(client_id, name), |new, (field, value)| new.set(field, value));
            data(sites.create(&new).await?)
        }
        _ => Err(call.unknown()),
    }
}

async fn users(halo: &HaloPsa, call: Call) -> Result<Value> {
    let users = halo.users();
    match call.operation.as_str() {
        "get" => data(users.get(call.args::<ById>()?.id).await?),
        "page" => {
            let args: ListUsers = call.args()?;
            let token = position(args.resume.as_deref())?;
            turned(users.page(&args.query(), token.as_ref()).await?)
        }
        "find_by_email" => {
            let ByEmail { client_id, address } = call.args()?;
            data(users.find_by_email(client_id, &address).await?)
        }
        "create" => {
            let CreateUser { site_id, first_name, last_name, set } = call.args()?;
            let new = NewUser::new(site_id, first_name, last_name);
            data(users.create(&set.into_iter().fold(new, |new, (field, value)| new.set(field, value))).await?)
        }
        _ => Err(call.unknown()),
    }
}

async fn tickets(halo: &HaloPsa, call: Call) -> Result<Value> {
    let tickets = halo.tickets();
    match call.operation.as_str() {
        "get" => data(tickets.get(call.args::<ById>()?.id).await?),
        "page" => {
            let args: ListTickets = call.args()?;
            let token = position(args.resume.as_deref())?;
            turned(tickets.page(&args.query(), token.as_ref()).await?)
        }
        "create" => data(tickets.create(&call.args::<CreateTicket>()?.ticket()?).await?),
        "find_by_reference" => {
            let FindTicket { client_id, reference, since } = call.args()?;
            data(tickets.find_by_reference(client_id, &Reference::new(reference)?, since).await?)
        }
        "update" => {
            let UpdateTicket { id, set } = call.args()?;
            let update = set.into_iter().fold(TicketUpdate::new(), |update, (field, value)| update.set(field, value));
            data(tickets.update(id, &update).await?)
        }
        "assign" => {
            let AssignTicket { id, agent_id, team } = call.args()?;
            data(tickets.update(id, &TicketUpdate::new().assign(agent_id, team)).await?)
        }
        "resolve" => {
            let args: ResolveTicket = call.args()?;
            data(tickets.resolve(args.id, &args.resolution()).await?)
        }
        _ => Err(call.unknown()),
    }
}

async fn actions(halo: &HaloPsa, call: Call) -> Result<Value> {
    let actions = halo.actions();
    match call.operation.as_str() {
        "of_ticket" => data(actions.of_ticket(call.args::<OfTicket>()?.ticket_id).await?),
        "get" => {
            let GetAction { ticket_id, id } = call.args()?;
            data(actions.get(ticket_id, id).await?)
        }
        "add" => data(actions.add(&call.args::<AddAction>()?.action()?).await?),
        "find" => {
            let FindAction { ticket_id, reference } = call.args()?;
            data(actions.find(ticket_id, &Reference::new(reference)?).await?)
        }
        _ => Err(call.unknown()),
    }
}

async fn lookups(halo: &HaloPsa, call: Call) -> Result<Value> {
    let lookups = halo.lookups();
    let operation = call.operation.clone();
    if let "statuses" | "ticket_types" | "outcomes" = operation.as_str() {
        let Nothing {} = call.args()?;
        return match operation.as_str() {
            "statuses" => data(lookups.statuses().await?),
            "ticket_types" => data(lookups.ticket_types().await?),
            _ => data(lookups.outcomes().await?),
        };
    }
    match operation.as_str() {
        "require_status" => data(lookups.require_status(&call.args::<ByName>()?.name).await?),
        "require_ticket_type" => data(lookups.require_ticket_type(&call.args::<ByName>()?.name).await?),
        "require_outcome" => data(lookups.require_outcome(&call.args::<ByName>()?.name).await?),
        _ => Err(call.unknown()),
    }
}

fn turned<T: Serialize>(found: Page<T>) -> Result<Value> {
    page(found.items, found.next, found.total)
}

fn position(resume: Option<&str>) -> Result<Option<ResumeToken>> {
    resume.map(str::parse).transpose()
}
