//! Reads a Graph user many times with graph-rs-sdk, as `benches/graph.rs` does with the typed client: the same
//! properties, from the same server, with as many calls under way.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/graph-rs-sdk/Cargo.toml -- \
//!     --url http://127.0.0.1:8080/v1.0 --requests 100000 [--at-once 64] [--token TEXT] [--user ID] [--patient]
//! ```
//!
//! Prints `{"requests":N,"refused":N,"seconds":S}`; `refused` counts calls that ended as 429. With `--patient` it tries
//! those again after the time the server names, as the crate can be set to.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use graph_rs_sdk::http::Url;
use graph_rs_sdk::{GraphClient, GraphClientConfiguration, ODataQuery as _};

type Failure = Box<dyn Error + Send + Sync>;

/// What the typed client asks for: the properties it has a type for.
const SELECT: &[&str] = &[
    "id",
    "displayName",
    "givenName",
    "surname",
    "userPrincipalName",
    "mail",
    "mailNickname",
    "accountEnabled",
    "usageLocation",
    "jobTitle",
    "department",
    "companyName",
    "employeeId",
    "officeLocation",
    "mobilePhone",
    "businessPhones",
    "preferredLanguage",
    "userType",
    "createdDateTime",
    "onPremisesSyncEnabled",
    "assignedLicenses",
];
/// How often a refused call is tried again.
const RETRIES: usize = 12;
const DEADLINE: Duration = Duration::from_secs(100);

struct Arguments {
    url: Url,
    requests: u64,
    at_once: u64,
    token: String,
    user: String,
    patient: bool,
}

fn main() -> Result<(), Failure> {
    let arguments = parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { url, requests, at_once, token, user, patient } = arguments;
    let settings = GraphClientConfiguration::new().access_token(token).https_only(false).timeout(DEADLINE);
    let mut client = GraphClient::from(match patient {
        true => settings.retry(Some(RETRIES)).wait_for_retry_after_headers(true),
        false => settings,
    });
    client.use_test_endpoint(&url);
    // Connections and whatever else the first call makes are not what is measured.
    read(&client, &user).await?;
    let (left, refused) = (Arc::new(AtomicU64::new(requests)), Arc::new(AtomicU64::new(0)));
    let begun = Instant::now();
    let lanes: Vec<_> = (0..at_once.min(requests))
        .map(|_| {
            let (client, user, left, refused) = (client.clone(), user.clone(), Arc::clone(&left), Arc::clone(&refused));
            tokio::spawn(async move {
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                    refused.fetch_add(u64::from(!read(&client, &user).await?), Ordering::Relaxed);
                }
                Ok::<(), Failure>(())
            })
        })
        .collect();
    for lane in lanes {
        lane.await??;
    }
    let (refused, seconds) = (refused.load(Ordering::Relaxed), begun.elapsed().as_secs_f64());
    println!("{}", serde_json::json!({ "requests": requests, "refused": refused, "seconds": seconds }));
    Ok(())
}

/// One read; false when it was answered 429.
async fn read(client: &GraphClient, user: &str) -> Result<bool, Failure> {
    let response = client.user(user).get_user().select(SELECT).send().await?;
    if response.status().as_u16() == 429 {
        return Ok(false);
    }
    let user: serde_json::Value = response.error_for_status()?.json().await?;
    user.get("id").map(|_| true).ok_or_else(|| "the answer is no user".into())
}

fn parse() -> Result<Arguments, Failure> {
    let (mut url, mut requests, mut at_once, mut patient) = (None, None, 64, false);
    let (mut token, mut user) = ("a-token-of-the-bench".to_owned(), "adele.vance@contoso.com".to_owned());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} wants a value"));
        match word.as_str() {
            "--url" => url = Some(value()?.parse()?),
            "--requests" => requests = Some(value()?.parse()?),
            "--at-once" => at_once = value()?.parse()?,
            "--token" => token = value()?,
            "--user" => user = value()?,
            "--patient" => patient = true,
            _ => return Err(format!("{word} is not known").into()),
        }
    }
    let (url, requests) = (url.ok_or("--url is missing")?, requests.ok_or("--requests is missing")?);
    Ok(Arguments { url, requests, at_once, token, user, patient })
}
