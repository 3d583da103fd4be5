//! New hires of three customers, from a CSV file to users, licences, groups, tickets and booked time.
//!
//! ```text
//! cargo run --release --example onboarding
//! ```
//!
//! It needs no account: Microsoft Graph, its identity platform and HaloPSA are simulated inside the process. Run it
//! again and nothing is done twice. To see it survive being killed, let the simulators outlive it:
//!
//! ```text
//! cargo run --release --example simulators -- --listen 127.0.0.1:4010
//! cargo run --release --example onboarding -- --data data/crash --simulators 127.0.0.1:4010 --crash-after 100
//! cargo run --release --example onboarding -- --data data/crash --simulators 127.0.0.1:4010
//! ```
//!
//! With `--live` it works on the real Graph and HaloPSA. `--help` lists the environment variables.

mod hires;
mod people;
mod progress;
mod provision;
mod report;
mod workflow;
mod world;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bifrost::{Clock as _, ExecutionState, Hub, HubConfig, SystemClock, Timestamp};
use clap::Parser;

use crate::hires::Sheet;
use crate::people::{Finished, Watch};
use crate::progress::Progress;
use crate::report::Report;
use crate::world::World;

/// People worked on at the same time: enough to be quick, and gentle with the providers.
const AT_A_TIME: usize = 12;
/// How long the hub may take to close its store.
const CLOSES_WITHIN: Duration = Duration::from_secs(10);

/// Onboards new hires: user, licence, groups, ticket, time.
#[derive(Parser)]
#[command(name = "onboarding", after_long_help = ENVIRONMENT)]
struct Arguments {
    /// The file of new hires.
    #[arg(long, value_name = "FILE", default_value = "examples/data/new_hires.csv")]
    hires: PathBuf,
    /// The folder everything is kept in; `data/onboarding`, with `--live` `data/onboarding-live`.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Writes the results as one JSON document; `-` is standard output, where nothing else is printed then.
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
    /// Simulators that run elsewhere (`--example simulators`), instead of inside this process.
    #[arg(long, value_name = "HOST:PORT")]
    simulators: Option<String>,
    /// Kills this process after so many steps; the next run on the same data goes on where it was.
    #[arg(long, value_name = "STEPS")]
    crash_after: Option<u64>,
    /// The real Graph and HaloPSA, as environment variables say; see `--help`.
    #[arg(long, conflicts_with = "simulators")]
    live: bool,
}

const ENVIRONMENT: &str = "\
With --live, these environment variables say where and as whom (CUSTOMER in capitals, `-` as `_`):
  BIFROST_CUSTOMERS                ids of the customers, separated by commas (contoso,fabrikam,adatum)
  BIFROST_GRAPH_CLIENT_ID          the application at Microsoft Entra, with the application permissions
  BIFROST_GRAPH_CLIENT_SECRET      User.ReadWrite.All, GroupMember.ReadWrite.All, Organization.Read.All
  BIFROST_GRAPH_TENANT_<CUSTOMER>  the customer's Entra tenant: id or verified domain
  BIFROST_DOMAIN_<CUSTOMER>        the domain of its sign-in names
  BIFROST_HALOPSA_URL              the resource server, such as https://example.halopsa.com/api
  BIFROST_HALOPSA_AUTH_URL         the authorisation server, such as https://example.halopsa.com/auth
  BIFROST_HALOPSA_TENANT           the tenant's name, from Configuration, Integrations, HaloPSA API
  BIFROST_HALOPSA_CLIENT_ID        the application at HaloPSA, with the permissions
  BIFROST_HALOPSA_CLIENT_SECRET    read:customers, read:tickets, edit:tickets
  BIFROST_HALOPSA_CLIENT_<CUSTOMER>  the customer's client id; if absent, the client that bears its id as name

Exit status: 0 when everyone was worked on, 1 when somebody could not be, 2 when the input is wrong.";

/// Why the program ends early.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// The input is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, message: message.into() }
    }

    /// It did not work.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into() }
    }
}

impl From<bifrost::Error> for Failure {
    fn from(error: bifrost::Error) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::failed(error.to_string())
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(code) => code,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "error: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

async fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    arguments.check()?;
    let world = arguments.world().await?;
    let sheet = hires::read(&arguments.hires, &world.customers)?;
    let mut out = arguments.for_people();
    announce(out.as_mut(), &sheet)?;

    let since = SystemClock::new().now();
    let hub = Hub::builder()
        .with_data_dir(arguments.data())
        .with_integrations(bifrost::providers)
        .with_workflow(workflow::onboard_user()?)
        .with_config(HubConfig { max_running: AT_A_TIME, ..HubConfig::default() })
        .start()
        .await?;
    let ended = work(&hub, &world, &sheet, since, arguments, out.as_mut()).await;
    let closed = hub.shutdown(CLOSES_WITHIN).await;
    let code = ended?;
    closed?;
    Ok(code)
}

async fn work(
    hub: &Hub,
    world: &World,
    sheet: &Sheet,
    since: Timestamp,
    arguments: &Arguments,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    let resumed = hub.snapshot().executions_in_flight;
    if resumed > 0 {
        writeln!(out, "{resumed} people were half-way when the last run ended: they go on")?;
    }
    if resumed > 0 && arguments.is_inside() {
        writeln!(
            out,
            "but the simulators that held their users ended with that run: a new --data folder starts afresh"
        )?;
    }
    provision::provision(hub, world).await?;
    let progress = Progress::new(&sheet.people);
    let watch = Watch::new(&progress, since, arguments.crash_after);
    let people = people::onboard(hub, &sheet.people, &watch).await?;
    progress.finish();
    let report =
        Report { people: &people, invalid: &sheet.invalid, created: watch.created(), snapshot: &hub.snapshot() };
    report.write(out)?;
    if let Some(path) = &arguments.json {
        report.write_json(open(path)?.as_mut())?;
    }
    Ok(exit_code(&people))
}

/// Says who will not be worked on before anything starts.
fn announce(out: &mut dyn Write, sheet: &Sheet) -> Result<(), Failure> {
    report::write_invalid(out, &sheet.invalid)?;
    let skipped = sheet.invalid.len();
    writeln!(out, "{} people to onboard, {skipped} rows are skipped", sheet.people.len())?;
    Ok(())
}

/// People whose ticket says what is left to do were worked on; the others were not.
fn exit_code(people: &[Finished<'_>]) -> ExitCode {
    let ended = [ExecutionState::Succeeded, ExecutionState::CompletedWithErrors].map(|state| format!("{state:?}"));
    if people.iter().all(|finished| ended.contains(&finished.outcome)) {
        return ExitCode::SUCCESS;
    }
    ExitCode::FAILURE
}

/// Where the document goes.
fn open(path: &Path) -> Result<Box<dyn Write>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdout().lock()));
    }
    match File::create(path) {
        Ok(file) => Ok(Box::new(BufWriter::new(file))),
        Err(error) => Err(Failure::failed(format!("{}: {error}", path.display()))),
    }
}

impl Arguments {
    fn check(&self) -> Result<(), Failure> {
        if self.crash_after.is_some() && self.is_inside() {
            return Err(Failure::usage(
                "--crash-after needs --simulators: those inside this process would die with it",
            ));
        }
        Ok(())
    }

    /// The simulators run in this process.
    fn is_inside(&self) -> bool {
        self.simulators.is_none() && !self.live
    }

    async fn world(&self) -> Result<World, Failure> {
        match &self.simulators {
            _ if self.live => World::live(),
            Some(address) => World::elsewhere(address).await,
            None => World::inside().await,
        }
    }

    /// Who was onboarded for show must not count as onboarded for real.
    fn data(&self) -> PathBuf {
        let default = if self.live { "data/onboarding-live" } else { "data/onboarding" };
        self.data.clone().unwrap_or_else(|| PathBuf::from(default))
    }

    /// Where people read: standard output, unless the document goes there.
    fn for_people(&self) -> Box<dyn Write> {
        match &self.json {
            Some(path) if path == Path::new("-") => Box::new(io::stderr()),
            _ => Box::new(io::stdout()),
        }
    }
}
