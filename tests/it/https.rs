//! A small https server on this machine alone, with a certificate of its own making.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the server says for one path.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The status 200 and these bytes.
    Bytes(Vec<u8>),
    /// The status 302 and this address.
    Redirect(String),
    /// A byte now and then, for ever.
    Endless,
}

/// The server; it stops where this is dropped.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    answers: Mutex<Vec<(String, Answer)>>,
    asked: AtomicUsize,
    is_over: AtomicBool,
}

impl Server {
    /// Starts to listen. The certificate that vouches for it is written to `authority`.
    pub fn start(authority: &Path) -> Self {
        let tls = Arc::new(config(authority));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            answers: Mutex::default(),
            asked: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        });
        let to_accept = Arc::clone(&shared);
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if to_accept.is_over.load(Ordering::SeqCst) {
                    break;
                }
                let (tls, shared) = (Arc::clone(&tls), Arc::clone(&to_accept));
                // A client that goes away, as one does that does not trust the server, is no failure here.
                std::thread::spawn(move || serve(tls, stream, &shared));
            }
        });
        Self { address, shared, accepting: Some(accepting) }
    }

    /// The link to a path, which is answered so from now on.
    pub fn answers(&self, path: &str, answer: Answer) -> String {
        self.shared.answers.lock().unwrap().insert(0, (path.into(), answer));
        self.link(path)
    }

    /// The link to a path.
    pub fn link(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// How many requests were answered.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a client.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

fn config(authority: &Path) -> ServerConfig {
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(authority, root.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(["127.0.0.1".to_string()]).unwrap().signed_by(&key, &root).unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], key.into())
        .unwrap()
}

fn serve(tls: Arc<ServerConfig>, stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let connection = ServerConnection::new(tls).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if stream.read_line(&mut request)? == 0 {
            return Ok(());
        }
    }
    shared.asked.fetch_add(1, Ordering::SeqCst);
    let path = request.split(' ').nth(1).unwrap_or_default();
    let known = shared.answers.lock().unwrap().iter().find(|(known, _)| known == path).cloned();
    let stream = stream.get_mut();
    match known.map(|(_, answer)| answer) {
        None => {
            stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
        }
        Some(Answer::Redirect(to)) => {
            write!(
                stream,
                "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )?;
        }
        Some(Answer::Bytes(bytes)) => {
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                bytes.len()
            )?;
            stream.write_all(&bytes)?;
        }
        Some(Answer::Endless) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            while !shared.is_over.load(Ordering::SeqCst) {
                stream.write_all(b"#")?;
                stream.flush()?;
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    }
    stream.conn.send_close_notify();
    stream.flush()
}
