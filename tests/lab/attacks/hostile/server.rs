//! A server that answers with bytes of our choice.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// A piece of an answer.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    Bytes(Vec<u8>),
    /// One byte after the other, so far apart.
    Slowly(Vec<u8>, Duration),
    /// Again and again, until the client hangs up.
    Forever(Vec<u8>),
    /// Nothing more comes, and the connection stays open.
    Silence,
    /// The connection is reset.
    Reset,
}

/// Answers by the head of the request.
pub(super) type Script = Arc<dyn Fn(&str) -> Vec<Piece> + Send + Sync>;

/// Stops when it is dropped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(serve(stream, Arc::clone(&script), Arc::clone(&noted)));
            }
        });
        Self { address, heard, task }
    }

    /// The heads of all requests.
    pub(super) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, script: Script, heard: Arc<Mutex<Vec<String>>>) {
    let mut request = Vec::new();
    let mut piece = [0; 16 * 1024];
    // The requests of this attack fit into what comes at once, or into two pieces: head and body.
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&piece[..count]),
        }
    }
    let head = String::from_utf8_lossy(&request).into_owned();
    heard.lock().unwrap().push(head.clone());
    for piece in script(&head) {
        if say(&mut stream, piece).await.is_err() {
            return;
        }
    }
    let _ = stream.shutdown().await;
}

async fn say(stream: &mut TcpStream, piece: Piece) -> std::io::Result<()> {
    match piece {
        Piece::Bytes(bytes) => stream.write_all(&bytes).await,
        Piece::Slowly(bytes, pause) => {
            for byte in bytes {
                stream.write_all(&[byte]).await?;
                sleep(pause).await;
            }
            Ok(())
        }
        Piece::Forever(bytes) => loop {
            stream.write_all(&bytes).await?;
        },
        Piece::Silence => std::future::pending().await,
        Piece::Reset => {
            stream.set_zero_linger()?;
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
    }
}

/// The head of an answer with these lines.
pub(super) fn head(lines: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{lines}\r\n").into_bytes()
}

/// A whole answer with this body.
pub(super) fn whole(body: &[u8]) -> Vec<u8> {
    [head(&format!("content-length: {}\r\n", body.len())), body.to_vec()].concat()
}

/// An answer that is as it should be, from a token endpoint.
pub(super) fn token() -> Vec<Piece> {
    let body = br#"{"access_token":"canary-access-token","token_type":"Bearer","expires_in":3599}"#;
    vec![Piece::Bytes(whole(body))]
}
