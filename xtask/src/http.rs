//! One HTTP/1.1 GET over a plain socket: enough to ask the simulators on loopback, without an HTTP stack to compile.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::report::Failure;

const PATIENCE: Duration = Duration::from_secs(10);

/// The body of `http://{address}{path}`, when the answer is 200.
pub(crate) fn get(address: &str, path: &str) -> Result<String, Failure> {
    exchange(address, path).map_err(|failure| failure.during(&format!("GET http://{address}{path}")))
}

fn exchange(address: &str, path: &str) -> Result<String, Failure> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: application/json\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    body(&answer)
}

fn body(answer: &[u8]) -> Result<String, Failure> {
    let end = find(answer, b"\r\n\r\n").ok_or_else(|| Failure::new("the answer has no end of headers"))?;
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(Failure::new(format!("answered {status}")));
    }
    let rest = &answer[end + 4..];
    let is_chunked = head.lines().any(|line| line.starts_with("transfer-encoding:") && line.contains("chunked"));
    let bytes = if is_chunked { unchunked(rest)? } else { rest.to_vec() };
    String::from_utf8(bytes).map_err(|_| Failure::new("the body is not text"))
}

/// The content of a chunked body.
fn unchunked(mut rest: &[u8]) -> Result<Vec<u8>, Failure> {
    let torn = || Failure::new("the chunked body ends too early");
    let mut content = Vec::new();
    loop {
        let end = find(rest, b"\r\n").ok_or_else(torn)?;
        let digits = String::from_utf8_lossy(&rest[..end]);
        let digits = digits.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(digits, 16).map_err(|_| Failure::new(format!("no chunk size: {digits}")))?;
        if size == 0 {
            return Ok(content);
        }
        rest = &rest[end + 2..];
        content.extend_from_slice(rest.get(..size).ok_or_else(torn)?);
        rest = rest.get(size + 2..).ok_or_else(torn)?;
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn served(answer: &'static str) -> Result<String, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while find(&request, b"\r\n\r\n").is_none() {
                let mut buffer = [0; 512];
                let read = stream.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..read]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        });
        let body = get(&address, "/state").map_err(|failure| failure.to_string());
        assert!(server.join().unwrap().starts_with("GET /state HTTP/1.1\r\nHost: 127.0.0.1:"));
        body
    }

    #[test]
    fn plain_and_chunked_bodies_are_read() {
        assert_eq!(served("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap(), "{}");
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{\"\r\n4;x\r\na\":1\r\n1\r\n}\r\n0\r\n\r\n";
        assert_eq!(served(chunked).unwrap(), "{\"a\":1}");
    }

    #[test]
    fn errors_and_torn_answers_are_failures() {
        assert!(served("HTTP/1.1 404 Not Found\r\n\r\n").unwrap_err().contains("404"));
        assert!(served("HTTP/1.1 200 OK\r\n").is_err());
        assert!(served("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab").is_err());
    }
}
