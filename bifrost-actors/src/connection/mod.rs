//! One connection: the sole owner of its tokens. A leaf: it may wait for the store, never for the network.
//!
//! ```text
//! Acquire ─ live? ─► answer
//!         └ else ─► intent durable ─► exchange (a task) ─► token set durable ─► published ─► all who wait are answered
//! ```
//! One exchange runs at a time, and whoever comes meanwhile shares its result or its failure. A refresh token is
//! spent only after the intent to spend it is durable, and what it was rotated to is durable before anyone sees it; once
//! it is sent it is waited for and stored whatever becomes of this actor (see `rotation`).

pub(crate) mod errand;
mod exchange;
pub(crate) mod message;
pub(crate) mod published;
pub(crate) mod records;
pub(crate) mod rotation;
pub(crate) mod source;
pub(crate) mod state;

use std::sync::Arc;

use bifrost_core::{ConnectionId, Error, ErrorKind, Result};
use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::execution::LEFT;
use crate::probe::Entry;
use crate::tenant::shared::TenantShared;
use exchange::AtWork;
use message::ConnectionMessage;
use published::Published;
use state::{Book, Waiting};

/// See the module.
pub(crate) struct ConnectionActor;

/// What a connection actor starts from.
pub(crate) struct ConnectionArgs {
    pub(crate) tenant: Arc<TenantShared>,
    pub(crate) id: ConnectionId,
}

/// What a connection actor holds.
pub(crate) struct ConnectionActorState {
    pub(crate) tenant: Arc<TenantShared>,
    pub(crate) id: ConnectionId,
    pub(crate) published: Arc<Published>,
    /// `None` until the first message: starting must not keep the supervisor waiting for the disk.
    pub(crate) book: Option<Book>,
    pub(crate) waiting: Waiting,
    pub(crate) _entry: Entry,
}

impl Actor for ConnectionActor {
    type Msg = ConnectionMessage;
    type State = ConnectionActorState;
    type Arguments = ConnectionArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<ConnectionMessage>,
        args: ConnectionArgs,
    ) -> Result<ConnectionActorState, ActorProcessingErr> {
        Ok(ConnectionActorState {
            _entry: args.tenant.hub.roll.connection(myself.get_id(), &args.tenant.id, &args.id),
            published: args.tenant.published(&args.id),
            tenant: args.tenant,
            id: args.id,
            book: None,
            waiting: Waiting::default(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<ConnectionMessage>,
        message: ConnectionMessage,
        state: &mut ConnectionActorState,
    ) -> Result<(), ActorProcessingErr> {
        match AtWork::open(&myself, state).await {
            Ok(work) => handle(work, message).await,
            Err(error) => {
                // There is no such connection, or no more: one of this name has an actor of its own.
                if error.kind() == ErrorKind::NotFound {
                    myself.stop(Some(LEFT.to_owned()));
                }
                refuse(message, error);
            }
        }
        Ok(())
    }
}

async fn handle(mut work: AtWork<'_>, message: ConnectionMessage) {
    match message {
        ConnectionMessage::Acquire { key, rejected, reply } => work.acquire(key, rejected, reply).await,
        ConnectionMessage::Exchanged { key, spent, end } => work.exchanged(key, spent, end).await,
        ConnectionMessage::RenewalDue(key) => work.renew(key).await,
        ConnectionMessage::Reload(reply) => {
            // A caller that gave up needs no answer.
            let _ = reply.send(work.reload().await);
        }
        ConnectionMessage::Reread => {
            if let Err(error) = work.reload().await {
                tracing::warn!(%error, "a connection could not be read again");
            }
        }
        ConnectionMessage::Refresh(reply) => {
            work.show_status();
            let _ = reply.send(Ok(()));
        }
    }
    work.settle();
}

/// The connection cannot be read: whoever asks is told.
fn refuse(message: ConnectionMessage, error: Error) {
    // A caller that gave up needs no answer.
    match message {
        ConnectionMessage::Acquire { reply, .. } => drop(reply.send(Err(error))),
        ConnectionMessage::Reload(reply) | ConnectionMessage::Refresh(reply) => {
            drop(reply.send(Err(error)));
        }
        ConnectionMessage::Exchanged { .. } | ConnectionMessage::RenewalDue(_) | ConnectionMessage::Reread => {
            tracing::warn!(%error, "a connection could not be read");
        }
    }
}
