//! The workflow: what is done for one new hire, from the account to the closed ticket.
//!
//! It reads from top to bottom, and it may die at any line: when it is taken up again, every step that has ended
//! answers from the journal. So whatever decides the way on is read inside a step, and each write is one of two:
//! - a `step`, where doing it twice is doing it once (a licence, a membership, a status);
//! - an `effect` with a probe, where doing it twice makes two (a user, a ticket, a time entry).

use std::time::Duration;

use bifrost::graph::{Graph, GraphContext, LicenseAssignment, NewUser, UserUpdate, random_password};
use bifrost::halopsa::{HaloPsa, HaloPsaContext, NewAction, NewTicket, Reference, Resolution};
use bifrost::policy::retry::RetryPolicy;
use bifrost::{Context, Error, ErrorKind, LogLevel, Probe, Result, Retry, SystemEntropy, Workflow, workflow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The workflow's name.
pub(crate) const NAME: &str = "onboard_user";
/// The configuration key of the hours booked per person: set on the provider tenant, inherited by every customer.
pub(crate) const HOURS: &str = "onboarding.hours";
/// The effects that create something, by name.
pub(crate) const CREATE_USER: &str = "create user";
pub(crate) const OPEN_TICKET: &str = "open ticket";
pub(crate) const BOOK_TIME: &str = "book time";
/// Said when a probe finds what was sent before, so that nobody counts it as new.
pub(crate) const FOUND: &str = "it was sent before, and had arrived";

/// Who is to be onboarded. Where the row stood in the file is not in it: a file that was sorted asks for the same.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Hire {
    /// The name people see, in any script.
    pub(crate) name: String,
    /// The sign-in name.
    pub(crate) upn: String,
    /// The country licences are used in, ISO 3166 alpha-2.
    pub(crate) country: String,
    pub(crate) department: Option<String>,
    pub(crate) job_title: Option<String>,
    /// The SKU to assign, such as `SPE_E3`.
    pub(crate) licence: String,
    /// The groups to join, by display name.
    pub(crate) groups: Vec<String>,
}

/// What was done, stored with the execution.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Onboarded {
    pub(crate) user_id: String,
    /// The user was there before.
    pub(crate) adopted: bool,
    pub(crate) licence: Option<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) ticket_id: i64,
    /// `ticket/number`: HaloPSA numbers actions per ticket.
    pub(crate) time_entry_id: String,
    /// The ticket is closed: nothing was left to do.
    pub(crate) resolved: bool,
}

/// The workflow with its policies.
pub(crate) fn onboard_user() -> Result<impl Workflow> {
    Ok(workflow(NAME, onboard)?
        .with_description("Creates a user with licence and groups, and documents the work in a ticket")
        .with_retry(RetryPolicy::attempts(6))
        .with_step_deadline(Duration::from_secs(60)))
}

async fn onboard(ctx: Context, hire: Hire) -> Result<Onboarded> {
    let (graph, halo) = (ctx.graph().await?, ctx.halopsa().await?);
    let mut left_to_do = Vec::new();

    let (user_id, adopted) = ensure_user(&ctx, &graph, &hire).await?;
    set_usage_location(&ctx, &graph, &user_id, &hire).await?;
    let licence = assign_licence(&ctx, &graph, &user_id, &hire).await;
    let licence = live_with(&ctx, licence, &mut left_to_do)?;
    let mut groups = Vec::new();
    for name in &hire.groups {
        let joined = join_group(&ctx, &graph, &user_id, name).await;
        groups.extend(live_with(&ctx, joined, &mut left_to_do)?);
    }

    let ticket_id = open_ticket(&ctx, &halo, &hire, adopted, &left_to_do).await?;
    let time_entry_id = book_time(&ctx, &halo, ticket_id).await?;
    let resolved = left_to_do.is_empty();
    if resolved {
        resolve_ticket(&ctx, &halo, ticket_id).await?;
    }
    Ok(Onboarded { user_id, adopted, licence, groups, ticket_id, time_entry_id, resolved })
}

/// The id of the person's user, and whether it was there before.
async fn ensure_user(ctx: &Context, graph: &Graph, hire: &Hire) -> Result<(String, bool)> {
    let find = || async { Ok(graph.users().find_by_upn(&hire.upn).await?.map(|user| user.id)) };
    if let Some(id) = ctx.step("look up user", find).await? {
        ctx.log(LogLevel::Info, format!("{} exists already and is adopted", hire.upn));
        return Ok((id, true));
    }
    let id = ctx
        .effect(CREATE_USER)
        // Sign-in names are unique: whether there is one tells whether we made it.
        .with_probe(|_key| async { Ok(arrived(ctx, find().await?)) })
        .run(|_key| async { Ok(graph.users().create(&new_user(hire)).await?.id) })
        .await?;
    Ok((id, false))
}

/// Nobody ever sees the password: on the first day the service desk issues a temporary access pass.
fn new_user(hire: &Hire) -> NewUser {
    let mut user = NewUser::new(&hire.upn, &hire.name, random_password(&SystemEntropy));
    if let Some(department) = &hire.department {
        user = user.department(department);
    }
    if let Some(title) = &hire.job_title {
        user = user.job_title(title);
    }
    user
}

/// Microsoft forbids to assign a licence to a user who has none.
async fn set_usage_location(ctx: &Context, graph: &Graph, user_id: &str, hire: &Hire) -> Result<()> {
    let update = UserUpdate::new().usage_location(&hire.country);
    ctx.step("set usage location", || async { graph.users().update(user_id, &update).await.map_err(not_there_yet) })
        .await
}

async fn assign_licence(ctx: &Context, graph: &Graph, user_id: &str, hire: &Hire) -> Result<String> {
    ctx.step("assign licence", || async {
        let sku = graph.licenses().require_sku(&hire.licence).await?;
        let licence = LicenseAssignment::new(sku.sku_id);
        graph.licenses().assign(user_id, &licence).await.map_err(not_there_yet)?;
        Ok(sku.sku_part_number)
    })
    .await
}

async fn join_group(ctx: &Context, graph: &Graph, user_id: &str, name: &str) -> Result<String> {
    ctx.step("add to group", || async {
        let group = graph.groups().require_by_name(name).await?;
        graph.groups().add_member(&group.id, user_id).await.map_err(not_there_yet)?;
        Ok(name.to_owned())
    })
    .await
}

async fn open_ticket(ctx: &Context, halo: &HaloPsa, hire: &Hire, adopted: bool, left_to_do: &[String]) -> Result<i64> {
    let client_id = halopsa_client(ctx).await?;
    let site = || async { Ok(halo.clients().get(client_id).await?.main_site_id) };
    let site_id = ctx.step("look up main site", site).await?;
    let ticket = |reference| {
        let ticket = NewTicket::new(format!("Onboard {}", hire.name))
            .details(describe(hire, adopted, left_to_do))
            .client(client_id)
            .reference(reference);
        match site_id {
            Some(id) => ticket.site(id),
            None => ticket,
        }
    };
    ctx.effect(OPEN_TICKET)
        // HaloPSA knows no idempotency keys: the ticket carries ours as a reference, by which it is found again.
        .with_probe(|key| async {
            let reference = Reference::new(key)?;
            let found = halo.tickets().find_by_reference(client_id, &reference, None).await?;
            Ok(arrived(ctx, found.map(|ticket| ticket.id)))
        })
        .run(|key| async {
            let ticket = ticket(Reference::new(key)?);
            Ok(halo.tickets().create(&ticket).await?.id)
        })
        .await
}

async fn book_time(ctx: &Context, halo: &HaloPsa, ticket_id: i64) -> Result<String> {
    let hours: f64 = ctx.config(HOURS).await?;
    let name_of = |number: i64| format!("{ticket_id}/{number}");
    ctx.effect(BOOK_TIME)
        .with_probe(|key| async {
            let found = halo.actions().find(ticket_id, &Reference::new(key)?).await?;
            Ok(arrived(ctx, found.map(|action| name_of(action.id))))
        })
        .run(|key| async {
            let entry =
                NewAction::time(ticket_id, hours, "Account, licence and groups").reference(Reference::new(key)?);
            Ok(name_of(halo.actions().add(&entry).await?.id))
        })
        .await
}

async fn resolve_ticket(ctx: &Context, halo: &HaloPsa, ticket_id: i64) -> Result<()> {
    ctx.step("resolve ticket", || async { halo.tickets().resolve(ticket_id, &Resolution::closed()).await.map(drop) })
        .await
}

/// What a probe found: both providers show a new object to whoever asks for it itself.
fn arrived<T>(ctx: &Context, found: Option<T>) -> Probe<T> {
    if found.is_some() {
        ctx.log(LogLevel::Info, FOUND);
    }
    Probe::from(found)
}

/// The customer's id at HaloPSA.
async fn halopsa_client(ctx: &Context) -> Result<i64> {
    let mapping = ctx.mapping("halopsa").await?;
    mapping.entity.parse().map_err(|_| {
        Error::invalid("read entity mapping", "a HaloPSA client id is a number").with("name", &mapping.entity)
    })
}

fn describe(hire: &Hire, adopted: bool, left_to_do: &[String]) -> String {
    let mut lines = vec![
        format!("{} ({}), {}", hire.name, hire.upn, hire.country),
        format!("Licence: {}", hire.licence),
        format!("Groups: {}", hire.groups.join(", ")),
    ];
    if adopted {
        lines.push("The user was there before and was taken over.".to_owned());
    }
    lines.extend(left_to_do.iter().map(|what| format!("Left to do: {what}")));
    lines.join("\n")
}

/// A refusal that only a person can cure is reported and lived with: the ticket says what is left to do. Anything else
/// ends the attempt, and the retry policy decides.
fn live_with<T>(ctx: &Context, result: Result<T>, left_to_do: &mut Vec<String>) -> Result<Option<T>> {
    let cure = |kind| matches!(kind, ErrorKind::Rejected | ErrorKind::NotFound | ErrorKind::Conflict);
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if cure(error.kind()) && !error.is_retryable() => {
            ctx.problem(&error);
            left_to_do.push(match error.suggested_action() {
                Some(action) => format!("{}: {action}", error.message()),
                None => error.message().to_owned(),
            });
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// For some seconds Entra does not know everywhere a user it has just created: that passes.
fn not_there_yet(error: Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => error.retry(Retry::Later),
        _ => error,
    }
}
