//! Drives steps and effects over typed closures.

use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::context::Context;
use super::drive::{Doubt, Drive, Next, Plan, Probe};
use crate::error::{Error, ErrorKind, Result};
use crate::time::within;

/// Drives an effect over its closures.
pub(super) async fn effect<T, F, Fut, P, PFut>(ctx: &Context, name: &str, doubt: Doubt, mut f: F, probe: P) -> Result<T>
where
    T: Serialize + DeserializeOwned,
    F: FnMut(String) -> Fut,
    Fut: Future<Output = Result<T>>,
    P: Fn(String) -> PFut,
    PFut: Future<Output = Result<Probe<T>>>,
{
    let (mut drive, mut next) = ctx.drive(name, Plan::Effect(doubt)).await?;
    loop {
        next = match next {
            Next::Call { key } => match bounded(ctx, &drive, f(key)).await {
                Ok(value) => return keep(&mut drive, value).await,
                Err(error) => drive.returned(Err(error)).await,
            },
            Next::Probe { key } => match bounded(ctx, &drive, probe(key)).await {
                Ok(Probe::Done(value)) => return keep(&mut drive, value).await,
                Ok(Probe::NotDone) => drive.probed(Ok(Probe::NotDone)).await,
                Ok(Probe::Unknown) => drive.probed(Ok(Probe::Unknown)).await,
                Err(error) => drive.probed(Err(error)).await,
            },
            Next::Done(result) => return recorded(&drive, result),
        };
    }
}

/// Drives a step over its closure.
pub(super) async fn step<T, F, Fut>(ctx: &Context, name: &str, f: F) -> Result<T>
where
    T: Serialize + DeserializeOwned,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let (mut drive, next) = ctx.drive(name, Plan::Step).await?;
    if let Next::Done(result) = next {
        return recorded(&drive, result);
    }
    match bounded(ctx, &drive, f()).await {
        Ok(value) => keep(&mut drive, value).await,
        Err(error) => match drive.returned(Err(error)).await {
            Next::Done(result) => recorded(&drive, result),
            Next::Call { .. } | Next::Probe { .. } => Err(Error::internal("run step", "a step asked to be sent again")),
        },
    }
}

/// Runs `future` for at most the step deadline.
async fn bounded<T>(ctx: &Context, drive: &Drive, future: impl Future<Output = Result<T>>) -> Result<T> {
    within(ctx.host().clock().as_ref(), drive.limit(), future).await.unwrap_or_else(|| Err(drive.overdue()))
}

/// Stores a result and gives it back as it came: what may be large is not copied.
async fn keep<T: Serialize>(drive: &mut Drive, value: T) -> Result<T> {
    let result = serde_json::to_value(&value).map_err(|error| {
        Error::new(ErrorKind::WorkflowFailed, "run step", "the result does not serialize as JSON")
            .with("step", drive.name())
            .source(error)
    })?;
    drive.confirm(result).await?;
    Ok(value)
}

fn recorded<T: DeserializeOwned>(drive: &Drive, result: Result<Value>) -> Result<T> {
    typed(drive.name(), result?)
}

/// A recorded result as what the code expects.
pub(super) fn typed<T: DeserializeOwned>(step: &str, value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| {
        Error::new(ErrorKind::WorkflowFailed, "run step", "the recorded result has another type than the code expects")
            .with("step", step)
            .next_action("deploy the code that recorded it, or give the step a new name")
            .source(error)
    })
}
