//! The physical limit: a log that does nothing but keep records. Writers queue; one thread writes what has queued with
//! one call, syncs once, and answers all of them. No durable store that shares syncs can be faster on this disk.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use tokio::sync::oneshot;

/// Room laid out ahead, so that a sync writes no metadata.
const ROOM: usize = 64 * 1024 * 1024;

#[derive(Default)]
struct Queue {
    waiting: Vec<(Vec<u8>, oneshot::Sender<()>)>,
    closed: bool,
}

/// A log on disk.
#[derive(Clone)]
pub(crate) struct BareLog(Arc<(Mutex<Queue>, Condvar)>);

impl BareLog {
    pub(crate) fn create(folder: &Path) -> Self {
        let mut file = File::create(folder.join("bare.log")).unwrap();
        file.write_all(&vec![0; ROOM]).unwrap();
        file.sync_all().unwrap();
        let log = Self(Arc::default());
        let writer = log.clone();
        std::thread::spawn(move || writer.work(file));
        log
    }

    /// Keeps a record; resolves when it is durable.
    pub(crate) async fn append(&self, record: Vec<u8>) {
        let (reply, kept) = oneshot::channel();
        self.0.0.lock().unwrap().waiting.push((record, reply));
        self.0.1.notify_one();
        kept.await.unwrap();
    }

    pub(crate) fn close(&self) {
        self.0.0.lock().unwrap().closed = true;
        self.0.1.notify_one();
    }

    fn work(&self, mut file: File) {
        let mut offset = 0;
        loop {
            let queue = self.0.0.lock().unwrap();
            let mut queue = self.0.1.wait_while(queue, |queue| queue.waiting.is_empty() && !queue.closed).unwrap();
            if queue.waiting.is_empty() {
                return;
            }
            let group = std::mem::take(&mut queue.waiting);
            drop(queue);
            let bytes: Vec<u8> = group.iter().flat_map(|(record, _)| record).copied().collect();
            if offset + bytes.len() > ROOM {
                offset = 0;
            }
            file.seek(SeekFrom::Start(offset as u64)).unwrap();
            file.write_all(&bytes).unwrap();
            file.sync_data().unwrap();
            offset += bytes.len();
            for (_, reply) in group {
                // A writer that went away needs no answer.
                let _ = reply.send(());
            }
        }
    }
}
