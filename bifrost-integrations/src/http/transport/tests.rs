//! A hostile peer on loopback, byte by byte.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use bifrost_core::{Clock as _, SystemClock};
use http::{Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::http::transport::answered_in_time;

const MAX_BODY: usize = 64 * 1024;

/// A peer that says the same to every connection, and counts them.
struct Peer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

#[derive(Clone)]
enum Says {
    /// These bytes, then the connection is closed.
    Bytes(Vec<u8>),
    /// The head, then the piece again and again.
    Forever(Vec<u8>, Vec<u8>),
    /// The bytes one by one, slowly.
    Slowly(Vec<u8>),
}

async fn peer(says: Says) -> Peer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let says = says.clone();
            tokio::spawn(async move {
                let mut heard = [0; 4096];
                let _ = stream.read(&mut heard).await;
                let _ = match says {
                    Says::Bytes(bytes) => stream.write_all(&bytes).await,
                    Says::Slowly(bytes) => {
                        for byte in bytes {
                            if stream.write_all(&[byte]).await.is_err() {
                                break;
                            }
                            SystemClock::new().sleep(Duration::from_millis(50)).await;
                        }
                        Ok(())
                    }
                    Says::Forever(head, piece) => {
                        let _ = stream.write_all(&head).await;
                        while stream.write_all(&piece).await.is_ok() {}
                        Ok(())
                    }
                };
            });
        }
    });
    Peer { address, connections }
}

async fn get(url: &str, allowed: &[&str]) -> Result<Response<Bytes>, TransportError> {
    get_from(&ReqwestTransport::new().unwrap(), url, allowed).await
}

async fn get_from(
    transport: &ReqwestTransport,
    url: &str,
    allowed: &[&str],
) -> Result<Response<Bytes>, TransportError> {
    let allowed: Vec<String> = allowed.iter().map(|host| (*host).to_owned()).collect();
    let limits = Limits {
        max_body: MAX_BODY,
        max_headers: 50,
        max_header_bytes: 8 * 1024,
        timeout: Duration::from_secs(2),
        private_hosts: &allowed,
    };
    let request = Request::builder().uri(url).body(Bytes::new()).unwrap();
    answered_in_time(&SystemClock::new(), limits.timeout, transport.send(request, limits)).await
}

async fn ask(says: Says) -> Result<Response<Bytes>, TransportError> {
    let peer = peer(says).await;
    get(&format!("http://{}/", peer.address), &["127.0.0.1"]).await
}

fn head(lines: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{lines}\r\n").into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn plain_and_compressed_answers_are_read() {
    let plain = ask(Says::Bytes([head("content-length: 5\r\nx-a: b\r\n"), b"hello".to_vec()].concat())).await.unwrap();
    assert_eq!((plain.body().as_ref(), &plain.headers()["x-a"]), (b"hello".as_slice(), &"b".parse().unwrap()));
    let body = gzip(b"hello again");
    let lines = format!("content-encoding: gzip\r\ncontent-length: {}\r\n", body.len());
    let packed = ask(Says::Bytes([head(&lines), body].concat())).await.unwrap();
    assert_eq!(packed.body().as_ref(), b"hello again");
    let moved = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(ask(Says::Bytes(moved.to_vec())).await.unwrap().status(), 302, "redirects are for the stack to follow");
}

#[tokio::test]
async fn what_is_too_large_is_not_read_to_its_end() {
    let bomb = gzip(&vec![0; 64 * 1024 * 1024]);
    assert!(bomb.len() < 100 * 1024);
    let gzipped = format!("content-encoding: gzip\r\ncontent-length: {}\r\n", bomb.len());
    let nested = gzip(&bomb);
    let twice = format!("content-encoding: gzip, gzip\r\ncontent-length: {}\r\n", nested.len());
    let announced = format!("content-length: {}\r\n", 10_u64 << 30);
    let piece = [b"4000\r\n".to_vec(), vec![b'x'; 0x4000], b"\r\n".to_vec()].concat();
    let many = (0..60).map(|number| format!("h{number}: v\r\n")).collect::<String>();
    let long = format!("h: {}\r\n", "v".repeat(9 * 1024));
    for (name, says) in [
        ("gzip bomb", Says::Bytes([head(&gzipped), bomb].concat())),
        ("announced", Says::Bytes([head(&announced), vec![b'x'; 100]].concat())),
        ("endless chunks", Says::Forever(head("transfer-encoding: chunked\r\n"), piece)),
        ("endless body", Says::Forever(head(""), vec![b'x'; 1024])),
        ("many headers", Says::Bytes(head(&many))),
        ("long headers", Says::Bytes(head(&long))),
    ] {
        let failed = ask(says).await.unwrap_err();
        assert_eq!(failed.kind(), TransportErrorKind::TooLarge, "{name}: {failed:?}");
    }
    // What is packed twice is unpacked at most once, or not at all: it stays bounded either way.
    let result = ask(Says::Bytes([head(&twice), nested].concat())).await;
    assert!(result.map_or(true, |response| response.body().len() <= MAX_BODY));
}

#[tokio::test]
async fn floods_of_headers_end_the_connection() {
    let flood = (0..100_000).map(|number| format!("h{number}: v\r\n")).collect::<String>();
    let failed = ask(Says::Bytes(head(&flood))).await.unwrap_err();
    assert_eq!(failed.kind(), TransportErrorKind::Lost);
    let endless = ask(Says::Forever(b"HTTP/1.1 200 OK\r\nh: ".to_vec(), vec![b'x'; 1024])).await.unwrap_err();
    assert!(endless.maybe_received());
}

#[tokio::test]
async fn a_slow_peer_runs_into_the_deadline() {
    let answer = [head("content-length: 100\r\n"), vec![b'x'; 100]].concat();
    let failed = ask(Says::Slowly(answer)).await.unwrap_err();
    assert_eq!(failed.kind(), TransportErrorKind::TimedOut);
}

#[tokio::test]
async fn an_answer_cut_anywhere_is_an_error_or_whole() {
    let answer = [head("content-type: application/json\r\ncontent-length: 7\r\n"), b"{\"a\":1}".to_vec()].concat();
    for cut in 0..answer.len() {
        let failed = ask(Says::Bytes(answer[..cut].to_vec())).await.unwrap_err();
        assert!(failed.maybe_received(), "cut at {cut}: {failed:?}");
    }
    assert_eq!(ask(Says::Bytes(answer)).await.unwrap().body().len(), 7);
}

#[tokio::test]
async fn garbage_is_an_error() {
    let bad_gzip = [head("content-encoding: gzip\r\ncontent-length: 4\r\n"), b"nope".to_vec()].concat();
    for says in [
        b"".to_vec(),
        b"\0\xff\xfe".to_vec(),
        b"HTTP/9.9 200 OK\r\n\r\n".to_vec(),
        b"HTTP/1.1 9999 X\r\n\r\n".to_vec(),
        b"SSH-2.0-x\r\n".to_vec(),
        head("content-length: -1\r\n"),
        head("content-length: 1\r\ncontent-length: 2\r\n"),
        [head("transfer-encoding: chunked\r\n"), b"zz\r\n".to_vec()].concat(),
        bad_gzip,
    ] {
        let failed = ask(Says::Bytes(says.clone())).await;
        assert!(failed.is_err_and(|failed| failed.kind() == TransportErrorKind::Lost), "{says:?}");
    }
}

#[tokio::test]
async fn nobody_listening_means_not_sent() {
    // Bound but not listening: the port stays ours, and refuses.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let url = format!("http://{address}/?token=canary");
    let failed = get(&url, &["127.0.0.1"]).await.unwrap_err();
    assert_eq!(failed.kind(), TransportErrorKind::NotSent);
    assert!(!format!("{failed} {failed:?}").contains("canary"), "the URL is not in it");
    // A peer that speaks no TLS was never sent the request either.
    let peer = peer(Says::Bytes(b"HTTP/1.1 400 Bad\r\n\r\n".to_vec())).await;
    let failed = get(&format!("https://{}/", peer.address), &["127.0.0.1"]).await.unwrap_err();
    assert_eq!(failed.kind(), TransportErrorKind::NotSent);
}

#[derive(Debug)]
struct Answers(Vec<IpAddr>, AtomicUsize);

impl Lookup for Answers {
    /// A resolver that changes its mind with each question.
    fn lookup(&self, _host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let answer = self.0[self.1.fetch_add(1, Ordering::Relaxed) % self.0.len()];
        Box::pin(async move { Ok(vec![answer]) })
    }
}

#[tokio::test]
async fn private_addresses_are_not_connected_to_unless_listed() {
    let peer = peer(Says::Bytes(head("content-length: 0\r\n"))).await;
    let port = peer.address.port();
    for (url, allowed) in [
        (format!("http://127.0.0.1:{port}/"), vec![]),
        (format!("https://127.0.0.1:{port}/"), vec![]),
        (format!("https://localhost:{port}/"), vec![]),
        (format!("https://2130706433:{port}/"), vec!["127.0.0.2"]),
        (format!("https://[::ffff:127.0.0.1]:{port}/"), vec![]),
        (format!("http://user@127.0.0.1:{port}/"), vec![]),
        ("http://169.254.169.254/latest/meta-data".to_owned(), vec!["169.254.169.254"]),
    ] {
        let failed = get(&url, &allowed).await.unwrap_err();
        assert_eq!(failed.kind(), TransportErrorKind::Blocked, "{url}");
    }
    let loopback: IpAddr = "127.0.0.1".parse().unwrap();
    let metadata: IpAddr = "169.254.169.254".parse().unwrap();
    let lookup = |answers: &[IpAddr]| -> Arc<dyn Lookup> { Arc::new(Answers(answers.to_vec(), AtomicUsize::new(0))) };
    let rebinding = ReqwestTransport::with_lookup(&lookup(&[loopback, metadata])).unwrap();
    for _ in 0..4 {
        let failed = get_from(&rebinding, &format!("https://rebind.example:{port}/"), &[]).await.unwrap_err();
        assert_eq!(failed.kind(), TransportErrorKind::Blocked);
    }
    let to_metadata = ReqwestTransport::with_lookup(&lookup(&[metadata])).unwrap();
    let failed = get_from(&to_metadata, "http://psa.local/", &["psa.local"]).await.unwrap_err();
    assert_eq!(failed.kind(), TransportErrorKind::Blocked);
    assert_eq!(peer.connections.load(Ordering::Relaxed), 0, "nothing was connected to");

    let listed = ReqwestTransport::with_lookup(&lookup(&[loopback])).unwrap();
    get_from(&listed, &format!("http://psa.local:{port}/"), &["psa.local"]).await.unwrap();
    assert_eq!(peer.connections.load(Ordering::Relaxed), 1);
}
