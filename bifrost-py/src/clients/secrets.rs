//! Secrets by name: their text is filled in here, at send time, so that Python never holds it.

use bifrost::{Context, Error, ErrorKind, Result, Secret};
use serde_json::Value;

/// A place among the arguments, and the name of the secret that belongs there.
#[derive(Debug, Clone)]
pub(crate) struct Fill {
    place: String,
    name: String,
}

impl Fill {
    /// `place` is a JSON pointer.
    pub(crate) fn new(place: impl Into<String>, name: impl Into<String>) -> Self {
        Self { place: place.into(), name: name.into() }
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The secret itself.
    ///
    /// # Errors
    /// `InvalidInput` outside of a workflow; `NotFound`.
    pub(super) async fn resolve(&self, ctx: Option<&Context>) -> Result<Secret> {
        match ctx {
            Some(ctx) => ctx.secret(&self.name)?.resolve().await,
            None => Err(Error::invalid("fill in secret", "secrets by name are filled in within a workflow only")
                .with("name", &self.name)
                .next_action("make the call in a workflow, which has the tenant's secrets")),
        }
    }

    /// Puts the secret in its place within `args`.
    ///
    /// # Errors
    /// As [`Fill::resolve`]; `Internal` when there is no such place.
    pub(super) async fn fill(&self, args: &mut Value, ctx: Option<&Context>) -> Result<()> {
        let secret = self.resolve(ctx).await?;
        let place = args.pointer_mut(&self.place);
        *place.ok_or_else(|| self.misplaced())? = Value::String(secret.expose().to_owned());
        Ok(())
    }

    /// The refusal of a secret where none is taken.
    pub(super) fn misplaced(&self) -> Error {
        Error::new(ErrorKind::InvalidInput, "fill in secret", "no secret can be given here")
            .with("path", &self.place)
            .with("name", &self.name)
    }
}
