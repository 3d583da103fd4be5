//! A server that does as little as a server can: it has a token and a user, and answers each request with one of them.
//! What is measured against it is the client.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const TOKEN: &str = r#"{"token_type":"Bearer","expires_in":86399,"access_token":"a-token-of-the-bench"}"#;
const USER: &str = r#"{"id":"87d349ed-44d7-43e1-9a83-5f2406dee5bd","displayName":"Adele Vance","userPrincipalName":"adele.vance@contoso.com","mail":"adele.vance@contoso.com","givenName":"Adele","surname":"Vance","jobTitle":"Retail Manager","department":"Retail","accountEnabled":true,"usageLocation":"US"}"#;

/// Starts it on a thread and a runtime of its own; it lives as long as the process.
pub(crate) fn start() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
    });
    address
}

async fn serve(mut stream: TcpStream) {
    let (token, user) = (answer(TOKEN), answer(USER));
    stream.set_nodelay(true).unwrap();
    let mut buffer = Vec::with_capacity(4_096);
    while let Ok(read) = stream.read_buf(&mut buffer).await {
        if read == 0 {
            return;
        }
        while let Some(length) = whole_request(&buffer) {
            let answer = if buffer.starts_with(b"POST") { &token } else { &user };
            if stream.write_all(answer).await.is_err() {
                return;
            }
            buffer.drain(..length);
        }
    }
}

fn answer(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

/// How long the request at the front is, if all of it is there.
fn whole_request(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..head]).ok()?.to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let whole = head + length.unwrap_or(0);
    (buffer.len() >= whole).then_some(whole)
}
