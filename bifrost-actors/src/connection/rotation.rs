//! Which connections have a refresh token on its way right now.
//!
//! A refresh token that was spent is worth only what comes back for it. So such an exchange belongs to the hub and not
//! to the actor that began it: it ends, and its answer is stored, although the tenant was put to rest or suspended, the
//! connection edited, or the hub told to shut down meanwhile. Whoever owns the connection by then waits for that end
//! before anything else is spent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bifrost_core::{ConnectionId, TenantId};
use tokio::sync::watch;

type Key = (TenantId, ConnectionId);

/// The refresh tokens of one hub that are being spent. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rotations(Arc<Mutex<HashMap<Key, watch::Receiver<()>>>>);

/// One refresh token that is being spent; dropping this says that it is over.
#[derive(Debug)]
pub(crate) struct Rotation {
    rotations: Rotations,
    key: Key,
    /// Those who wait see this go.
    _under_way: watch::Sender<()>,
}

impl Rotations {
    /// Notes that a refresh token is about to be spent. Ask [`Rotations::over`] first.
    pub(crate) fn begin(&self, tenant: &TenantId, id: &ConnectionId) -> Rotation {
        let (sender, receiver) = watch::channel(());
        let key = (tenant.clone(), id.clone());
        self.lock().insert(key.clone(), receiver);
        Rotation { rotations: self.clone(), key, _under_way: sender }
    }

    /// Resolves when the connection's rotation is over; `None` when there is none.
    pub(crate) fn over(&self, tenant: &TenantId, id: &ConnectionId) -> Option<impl Future<Output = ()> + Send + use<>> {
        let under_way = self.lock().get(&(tenant.clone(), id.clone())).cloned()?;
        Some(gone(under_way))
    }

    /// Resolves when no rotation is under way.
    pub(crate) async fn all_over(&self) {
        loop {
            let next = self.lock().values().next().cloned();
            match next {
                Some(under_way) => gone(under_way).await,
                None => return,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, watch::Receiver<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nothing is ever sent: the only news is that the sender was dropped.
async fn gone(mut under_way: watch::Receiver<()>) {
    while under_way.changed().await.is_ok() {}
}

impl Drop for Rotation {
    fn drop(&mut self) {
        self.rotations.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_comes_meanwhile_waits_for_the_end() {
        let rotations = Rotations::default();
        let (tenant, id) = (TenantId::new("contoso").unwrap(), ConnectionId::new("graph").unwrap());
        assert!(rotations.over(&tenant, &id).is_none());
        let rotation = rotations.begin(&tenant, &id);
        let over = rotations.over(&tenant, &id).unwrap();
        let waiting = tokio::spawn(over);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(rotation);
        waiting.await.unwrap();
        rotations.all_over().await;
    }
}
