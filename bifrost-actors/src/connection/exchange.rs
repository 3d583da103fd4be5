//! The connection actor at work on one message: the protocol, step by step.

use std::sync::Arc;
use std::time::Duration;

use bifrost_core::audit::{AuditOutcome, AuditRecord};
use bifrost_core::connection::{Cause, ConnectionEvent};
use bifrost_core::credential::{ExchangeFailure, ExchangeRequest, Token, TokenKey};
use bifrost_core::store::{Batch, Precondition};
use bifrost_core::{ConnectionId, Error, ErrorKind, Principal, Result, Retry, Timestamp};
use ractor::{ActorRef, RpcReplyPort};

use super::ConnectionActorState;
use super::errand::{Before, Brought, Errand, Stored};
use super::message::ConnectionMessage;
use super::published::Published;
use super::records::{self, RefreshIntent, RefreshRecord, Refusal, fingerprint};
use super::state::{self, Book, Decision, UnderWay, Waiting, initial_state};
use crate::task::{after, report, report_anyway};
use crate::tenant::shared::TenantShared;

/// When an answer that the store did not take is offered to it again.
const SAVE_AGAIN: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct AtWork<'a> {
    myself: &'a ActorRef<ConnectionMessage>,
    tenant: &'a Arc<TenantShared>,
    id: &'a ConnectionId,
    published: &'a Published,
    waiting: &'a mut Waiting,
    book: &'a mut Book,
}

impl<'a> AtWork<'a> {
    /// Reads the connection from the store the first time.
    pub(super) async fn open(
        myself: &'a ActorRef<ConnectionMessage>,
        state: &'a mut ConnectionActorState,
    ) -> Result<Self> {
        let ConnectionActorState { tenant, id, published, book, waiting, .. } = state;
        if let Some(known) = book.take() {
            return Ok(Self { myself, tenant, id, published, waiting, book: book.insert(known) });
        }
        if published.had_an_owner() {
            // What it wrote last may still be on its way: this comes after.
            tenant.store.commit(Batch::new()).await?;
        }
        let rotates = tenant.hub.rotations.over(&tenant.id, id);
        let loaded = load(tenant, id).await?;
        published.own();
        let mut work = Self { myself, tenant, id, published, waiting, book: book.insert(loaded) };
        work.show_tokens();
        work.plan_renewals();
        work.wait_for_rotation(rotates);
        work.show_status();
        Ok(work)
    }

    pub(super) async fn acquire(&mut self, key: TokenKey, rejected: Option<u64>, reply: RpcReplyPort<Result<Token>>) {
        if reply.is_closed() {
            return;
        }
        if let Err(error) = self.save_unsaved().await {
            drop(reply.send(Err(error)));
            return;
        }
        match self.decide(&key, rejected) {
            Decision::Live(token) => drop(reply.send(Ok(token))),
            Decision::Refuse(error) => drop(reply.send(Err(error))),
            Decision::Exchange => {
                if rejected.is_some() {
                    self.withdraw(&key);
                }
                self.waiting.callers.entry(key.clone()).or_default().push(reply);
                self.enqueue(key).await;
            }
        }
    }

    /// Renews a token ahead of its expiry, unless that was done or would not help now.
    pub(super) async fn renew(&mut self, key: TokenKey) {
        if self.book.unsaved.is_some() {
            // Either it is stored now, and new, or it has to wait.
            if self.save_unsaved().await.is_err() {
                self.save_later();
            }
            return;
        }
        let current = self.book.tokens.get(&key).map(|token| token.generation);
        if matches!(self.decide(&key, current), Decision::Exchange) {
            self.enqueue(key).await;
        }
    }

    pub(super) async fn exchanged(
        &mut self,
        key: TokenKey,
        spent: Option<String>,
        end: Result<Result<Box<Brought>, ExchangeFailure>>,
    ) {
        self.waiting.exchange = None;
        match end.unwrap_or_else(|error| Err(ExchangeFailure { cause: Cause::ProviderDown, error })) {
            Ok(brought) => self.succeeded(*brought),
            Err(failure) if failure.cause.passes_by_itself() => {
                match failure.error.kind() {
                    // Whoever throttles has not looked at the refresh token: this intent came to nothing.
                    ErrorKind::Throttled if !self.book.rotation_in_doubt => self.book.refresh.intent = None,
                    ErrorKind::Throttled => {}
                    // Without an answer nobody knows whether it was rotated.
                    _ => self.book.rotation_in_doubt |= spent.is_some(),
                }
                self.deferred(&key, &failure.error).await;
            }
            Err(failure) => self.refused(key, spent, failure).await,
        }
        self.next_in_queue().await;
        self.show_status();
    }

    /// Settings or credential were changed, or somebody else's rotation has ended: forget what was, and read what is.
    pub(super) async fn reload(&mut self) -> Result<()> {
        // Asked before the store is: what ends in between is read once more.
        let rotates = self.tenant.hub.rotations.over(&self.tenant.id, self.id);
        let loaded = load(self.tenant, self.id).await?;
        let unsaved = self.book.unsaved.take().filter(|answer| answer.is_of(&loaded.credential));
        self.waiting.exchange = None;
        self.waiting.renewals.clear();
        self.waiting.queue.clear();
        *self.book = Book { unsaved, ..loaded };
        self.show_tokens();
        self.plan_renewals();
        self.wait_for_rotation(rotates);
        let keys: Vec<TokenKey> = self.waiting.callers.keys().cloned().collect();
        for key in keys {
            match self.decide(&key, None) {
                Decision::Live(token) => self.serve(&key, &token),
                Decision::Refuse(error) => self.fail(&key, &error),
                Decision::Exchange => self.enqueue(key).await,
            }
        }
        self.show_status();
        Ok(())
    }

    /// Lets the tenant rest when nothing would be lost by it.
    pub(super) fn settle(&mut self) {
        if self.waiting.exchange.is_none() && self.book.unsaved.is_none() {
            self.waiting.in_use = None;
        }
    }

    pub(super) fn show_status(&self) {
        self.published.show_status(self.book.status());
    }

    async fn enqueue(&mut self, key: TokenKey) {
        if !self.waiting.queue.contains(&key) {
            self.waiting.queue.push_back(key);
        }
        self.next_in_queue().await;
        self.show_status();
    }

    /// Starts the next exchange, unless one is under way.
    async fn next_in_queue(&mut self) {
        while self.waiting.exchange.is_none()
            && let Some(key) = self.waiting.queue.front().cloned()
        {
            match self.begin(&key).await {
                Ok(()) => {}
                // Edited meanwhile: whoever waits is served by what is stored now.
                Err(error) if error.kind() == ErrorKind::Conflict => return self.reread(),
                Err(error) => {
                    self.waiting.queue.pop_front();
                    self.fail(&key, &error);
                }
            }
        }
    }

    /// Makes the intent durable where a refresh token is spent, then sends.
    async fn begin(&mut self, key: &TokenKey) -> Result<()> {
        if self.waiting.in_use.is_none() {
            self.waiting.in_use = Some(self.tenant.enter().ok_or_else(resting)?);
        }
        let refresh_token = self.book.refresh_token();
        let spent = refresh_token.as_ref().map(fingerprint);
        if let Some(fingerprint) = spent.clone() {
            let at = self.now();
            let mut refresh = self.book.refresh.clone();
            refresh.intent = Some(RefreshIntent { fingerprint, at });
            self.store_refresh(refresh).await?;
        }
        self.happen(ConnectionEvent::ExchangeStarted);
        let errand = self.errand(key, refresh_token);
        let (key, rotates) = (key.clone(), spent.is_some());
        let ended = move |end: Result<_>| ConnectionMessage::Exchanged { key, spent, end: end.and_then(|end| end) };
        self.waiting.exchange = Some(match rotates {
            true => {
                let rotation = self.tenant.hub.rotations.begin(&self.tenant.id, self.id);
                report_anyway(self.myself, errand.run(), rotation, ended);
                UnderWay::Rotation
            }
            false => UnderWay::Ours(report(self.myself, errand.run(), ended)),
        });
        Ok(())
    }

    /// A refresh token is on its way already, sent for whoever owned the connection before, or for what it was set to
    /// before. What that brings is read when it is over, and nothing else is spent until then.
    fn wait_for_rotation(&mut self, over: Option<impl Future<Output = ()> + Send + 'static>) {
        if let Some(over) = over {
            self.happen(ConnectionEvent::ExchangeStarted);
            self.waiting.exchange = Some(UnderWay::Ours(report(self.myself, over, |_| ConnectionMessage::Reread)));
        }
    }

    fn errand(&self, key: &TokenKey, refresh_token: Option<bifrost_core::Secret>) -> Errand {
        let request = ExchangeRequest {
            tenant: self.tenant.id.clone(),
            connection: self.id.clone(),
            settings: Arc::new(self.book.record.settings.clone()),
            credential: Arc::clone(&self.book.credential),
            refresh_token,
            key: key.clone(),
        };
        let before = Before {
            credential: self.book.credential_version,
            refresh: self.book.refresh.clone(),
            generation: self.book.tokens.get(key).map_or(0, |token| token.generation),
        };
        Errand { tenant: Arc::clone(self.tenant), integration: Arc::clone(&self.book.integration), request, before }
    }

    fn succeeded(&mut self, brought: Brought) {
        match brought.stored {
            Ok(stored) => self.adopt(stored),
            // Settings or credential were changed: what is stored now counts, not this.
            Err(error) if error.kind() == ErrorKind::Conflict => self.reread(),
            Err(error) => {
                // Kept, shown to nobody, and stored as soon as the store takes it.
                self.book.unsaved = Some(brought.answer);
                self.fail_all(&error);
                self.save_later();
            }
        }
    }

    fn save_later(&mut self) {
        if let Some(key) = self.book.unsaved.as_ref().map(|answer| answer.key.clone()) {
            let again =
                after(&self.tenant.hub.clock, SAVE_AGAIN, self.myself, ConnectionMessage::RenewalDue(key.clone()));
            self.waiting.renewals.insert(key, again);
        }
    }

    /// Stores an answer that came; only then is it shown.
    async fn save_unsaved(&mut self) -> Result<()> {
        let Some(mut answer) = self.book.unsaved.clone() else {
            return Ok(());
        };
        match answer.store(self.tenant, self.id).await {
            Ok(stored) => self.adopt(stored),
            Err(error) if error.kind() == ErrorKind::Conflict => {
                self.book.unsaved = None;
                self.reread();
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Shows what was stored.
    fn adopt(&mut self, stored: Stored) {
        let Stored { version, token, refresh } = stored;
        if version <= self.book.credential_version {
            return;
        }
        let key = token.key.clone();
        self.book.unsaved = None;
        self.book.refresh = refresh;
        self.book.not_before = None;
        self.book.rotation_in_doubt = false;
        self.book.reread = false;
        self.book.failures = 0;
        self.happen(ConnectionEvent::ExchangeSucceeded);
        let served = token.to_token();
        self.book.tokens.insert(key.clone(), token);
        self.show_tokens();
        self.plan_renewal(&key);
        self.waiting.queue.retain(|queued| *queued != key);
        self.serve(&key, &served);
        tracing::debug!(tenant = %self.tenant.id, connection = %self.id, "token renewed");
    }

    fn serve(&mut self, key: &TokenKey, token: &Token) {
        for caller in self.waiting.callers.remove(key).unwrap_or_default() {
            // A caller that gave up finds the token published.
            let _ = caller.send(Ok(token.clone()));
        }
    }

    /// The store holds something newer than what is known here.
    fn reread(&self) {
        // An actor that ends has nothing to read.
        let _ = self.myself.cast(ConnectionMessage::Reread);
    }

    fn decide(&self, key: &TokenKey, rejected: Option<u64>) -> Decision {
        let clock = &self.tenant.hub.clock;
        self.book.decide(key, rejected, clock.now(), clock.monotonic())
    }

    /// Moves by the table. What ends after the connection was switched off moves nothing.
    fn happen(&mut self, event: ConnectionEvent) {
        if self.book.record.enabled {
            self.book.happen(event);
        }
    }

    /// It passes by itself: all who wait share this failure, and the next try is planned.
    async fn deferred(&mut self, key: &TokenKey, error: &Error) {
        let jitter = self.tenant.hub.entropy.fraction();
        let clock = &self.tenant.hub.clock;
        let delay = self.book.defer(error, clock.now(), clock.monotonic(), jitter);
        match self.store_refresh(self.book.refresh.clone()).await {
            Ok(()) => {}
            // It failed for settings that are no more.
            Err(error) if error.kind() == ErrorKind::Conflict => return self.reread(),
            Err(error) => {
                tracing::warn!(tenant = %self.tenant.id, connection = %self.id, %error, "a delay could not be stored");
            }
        }
        self.happen(ConnectionEvent::ExchangeDeferred);
        self.fail_all(&error.duplicate().retry(Retry::After(delay)));
        if self.book.tokens.contains_key(key) {
            let again = after(&self.tenant.hub.clock, delay, self.myself, ConnectionMessage::RenewalDue(key.clone()));
            self.waiting.renewals.insert(key.clone(), again);
        }
    }

    /// The provider refuses. Before the connection is given up, the stored refresh token is read once more: another
    /// process, or this one before a crash, may have stored a newer one.
    async fn refused(&mut self, key: TokenKey, spent: Option<String>, failure: ExchangeFailure) {
        if failure.cause == Cause::Revoked && !self.book.reread {
            self.book.reread = true;
            let stored = records::refresh_record(&self.tenant.store, self.id).await;
            if let Ok(stored) = stored
                && Book::has_other_token(&stored, spent.as_deref())
            {
                self.book.refresh = stored;
                self.happen(ConnectionEvent::ExchangeDeferred);
                if !self.waiting.queue.contains(&key) {
                    self.waiting.queue.push_front(key);
                }
                return;
            }
        }
        let cause = self.book.cause(failure.cause);
        let refusal = Refusal { cause, error: failure.error.to_report(), at: self.now() };
        self.happen(ConnectionEvent::ExchangeRefused);
        let error = state::refused(&refusal);
        let refresh =
            RefreshRecord { intent: None, refused: Some(refusal), deferred: None, ..self.book.refresh.clone() };
        match self.store_refusal(refresh, cause).await {
            Ok(()) => {}
            // It was refused for settings that are no more.
            Err(error) if error.kind() == ErrorKind::Conflict => return self.reread(),
            Err(error) => {
                tracing::error!(tenant = %self.tenant.id, connection = %self.id, %error, "a refusal could not be stored");
            }
        }
        tracing::warn!(tenant = %self.tenant.id, connection = %self.id, ?cause, "the connection needs a person");
        self.fail_all(&error);
    }

    async fn store_refusal(&mut self, refresh: RefreshRecord, cause: Cause) -> Result<()> {
        let store = &self.tenant.store;
        let mut batch = self.if_unchanged()?;
        store.put(&mut batch, records::refresh_key(store, self.id)?, &refresh)?;
        let audit = AuditRecord::new(
            self.now(),
            Principal::System,
            "connection.reauth_required",
            self.id,
            AuditOutcome::Failed,
        )
        .with("cause", format!("{cause:?}"));
        self.tenant.audit_log.append(&mut batch, &audit)?;
        self.book.refresh = refresh;
        store.commit(batch).await.map(drop)
    }

    async fn store_refresh(&mut self, refresh: RefreshRecord) -> Result<()> {
        let store = &self.tenant.store;
        let mut batch = self.if_unchanged()?;
        store.put(&mut batch, records::refresh_key(store, self.id)?, &refresh)?;
        store.commit(batch).await?;
        self.book.refresh = refresh;
        Ok(())
    }

    /// A batch that holds only while the credential is the one that is known here: what one grant came to must not be
    /// noted of another.
    fn if_unchanged(&self) -> Result<Batch> {
        let mut batch = Batch::new();
        let credential = records::credential_key(&self.tenant.store, self.id)?;
        batch.require(Precondition::At(credential, self.book.credential_version));
        Ok(batch)
    }

    /// The provider refused this token: nobody shall read it any more.
    fn withdraw(&mut self, key: &TokenKey) {
        if let Some(token) = self.book.tokens.get_mut(key) {
            token.expires_at = token.issued_at;
        }
        self.show_tokens();
    }

    fn fail(&mut self, key: &TokenKey, error: &Error) {
        for caller in self.waiting.callers.remove(key).unwrap_or_default() {
            // A caller that gave up needs no answer.
            let _ = caller.send(Err(error.duplicate()));
        }
    }

    fn fail_all(&mut self, error: &Error) {
        self.waiting.queue.clear();
        let keys: Vec<TokenKey> = self.waiting.callers.keys().cloned().collect();
        for key in keys {
            self.fail(&key, error);
        }
    }

    fn show_tokens(&self) {
        let live = if self.book.record.enabled {
            self.book.tokens.iter().map(|(key, record)| (key.clone(), record.to_token())).collect()
        } else {
            Vec::new()
        };
        self.published.show_tokens(live);
    }

    fn plan_renewals(&mut self) {
        let keys: Vec<TokenKey> = self.book.tokens.keys().cloned().collect();
        for key in keys {
            self.plan_renewal(&key);
        }
    }

    fn plan_renewal(&mut self, key: &TokenKey) {
        let now = self.now();
        let Some(token) = self.book.tokens.get(key).map(records::TokenRecord::to_token) else {
            return;
        };
        // One that has expired is renewed when somebody wants it.
        if !self.book.record.enabled || token.expires_at() <= now {
            return;
        }
        let wait = token.refresh_at(self.tenant.hub.entropy.fraction()).since(now);
        let due = after(&self.tenant.hub.clock, wait, self.myself, ConnectionMessage::RenewalDue(key.clone()));
        self.waiting.renewals.insert(key.clone(), due);
    }

    fn now(&self) -> Timestamp {
        self.tenant.hub.clock.now()
    }
}

async fn load(tenant: &TenantShared, id: &ConnectionId) -> Result<Book> {
    let record = tenant.stored_connection(id).await?.record;
    let integration = tenant.hub.registry.get(&record.settings.provider)?;
    let loaded = records::load(&tenant.store, id)
        .await?
        .ok_or_else(|| Error::new(ErrorKind::StoreCorrupt, "read connection", "its credential is missing"))?;
    let clock = &tenant.hub.clock;
    Ok(Book {
        machine: initial_state(record.enabled, &loaded.refresh, !loaded.tokens.is_empty()),
        record,
        integration,
        credential: Arc::new(loaded.credential),
        credential_version: loaded.credential_version,
        not_before: state::not_before(&loaded.refresh, clock.now(), clock.monotonic()),
        // An intent without a result: the process died between sending and storing.
        rotation_in_doubt: loaded.refresh.intent.is_some(),
        refresh: loaded.refresh,
        tokens: loaded.tokens.into_iter().map(|token| (token.key.clone(), token)).collect(),
        reread: false,
        failures: 0,
        unsaved: None,
    })
}

fn resting() -> Error {
    Error::new(ErrorKind::Unavailable, "exchange token", "the tenant is being put to rest").retry(Retry::Later)
}
