use std::io::{ErrorKind, Read};
use std::net::TcpStream as StdStream;
use std::sync::Arc;
use std::time::Instant;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;

/// A test's folder, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("elbow-pods-{test}-{}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn options(folder: &Folder, kind: Kind) -> Options {
    Options {
        count: 2,
        folder: folder.0.clone(),
        access_key: "access".into(),
        secret_key: "secret-key".into(),
        names: vec!["nlb.example.localhost".into()],
        kind,
    }
}

const EMBEDDED: Kind = Kind::Embedded {
    shared: false,
    lenient: false,
};

/// Accepts any certificate; the tests check it themselves.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::RSA_PSS_SHA256,
        ]
    }
}

async fn connect(pod: &Pod) -> TlsStream<TcpStream> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    let stream = TcpStream::connect(pod.s3).await.unwrap();
    let name = ServerName::IpAddress(pod.s3.ip().into());
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.unwrap()
}

/// Head and body of the answer to one request, the head in lower case.
async fn get(pod: &Pod, path: &str) -> (String, String) {
    let mut stream = connect(pod).await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer).await {
        Ok(_) => {}
        // MinIO closes without a close_notify.
        Err(e) => assert_eq!(e.kind(), ErrorKind::UnexpectedEof),
    }
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

/// Waits until connections are refused: a process that another test is starting holds a copy of every
/// socket until it executes its program.
fn assert_refused(pod: &Pod) {
    for address in [pod.s3, pod.console] {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !StdStream::connect(address).is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused)
        {
            assert!(Instant::now() < deadline, "{address} still accepts");
            thread::yield_now();
        }
    }
}

#[tokio::test]
async fn unsigned_request_is_denied_as_by_minio() {
    let folder = Folder::new("anonymous");
    let pods = Pods::launch(options(&folder, EMBEDDED)).await.unwrap();
    for path in ["/", "/bucket", "/bucket/key", "/bucket?list-type=2"] {
        let (head, body) = get(&pods.list()[0], path).await;
        assert!(head.starts_with("http/1.1 403 "), "{path}: {head}");
        assert!(head.contains("\r\ncontent-type: application/xml"), "{head}");
        assert!(body.contains("<Code>AccessDenied</Code>"), "{body}");
    }
}

#[tokio::test]
async fn health_pages_answer_200_and_responses_name_the_pod() {
    let folder = Folder::new("health");
    let pods = Pods::launch(options(&folder, EMBEDDED)).await.unwrap();
    for pod in pods.list() {
        for path in ["/minio/health/live", "/minio/health/ready"] {
            let (head, body) = get(pod, path).await;
            assert!(head.starts_with("http/1.1 200 "), "{head}");
            assert!(head.contains(&format!("\r\nx-pod: {}", pod.name)), "{head}");
            assert!(head.contains("\r\nserver: elbow-pod"), "{head}");
            assert_eq!(body, "");
        }
        let (head, _) = get(pod, "/").await;
        assert!(head.contains(&format!("\r\nx-pod: {}", pod.name)), "{head}");
    }
}

#[tokio::test]
async fn each_pod_serves_its_own_certificate() {
    let folder = Folder::new("certificate");
    let pods = Pods::launch(options(&folder, EMBEDDED)).await.unwrap();
    let names: Vec<_> = pods.list().iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["minio-0", "minio-1"]);
    for pod in pods.list() {
        let stream = connect(pod).await;
        let served = stream.get_ref().1.peer_certificates().unwrap();
        let own = CertificateDer::from_pem_slice(pod.certificate_pem.as_bytes()).unwrap();
        assert_eq!(served, [own]);
    }
    assert_ne!(
        pods.list()[0].certificate_pem,
        pods.list()[1].certificate_pem
    );
}

#[tokio::test]
async fn console_is_plain_http_and_names_the_pod() {
    let folder = Folder::new("console");
    let pods = Pods::launch(options(&folder, EMBEDDED)).await.unwrap();
    let pod = &pods.list()[1];
    let mut stream = TcpStream::connect(pod.console).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: console\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: text/html"), "{answer}");
    assert!(answer.contains("<h1>minio-1</h1>"), "{answer}");
    assert!(!pod.console_tls);
}

#[tokio::test]
async fn pod_restarts_on_its_ports() {
    let folder = Folder::new("restart");
    let pods = Pods::launch(options(&folder, EMBEDDED)).await.unwrap();
    let (first, second) = (pods.list()[0].clone(), pods.list()[1].clone());
    let mut open = connect(&first).await;

    pods.stop("minio-0").await.unwrap();
    pods.stop("minio-0").await.unwrap();
    // The open connection is cut: an end without a close_notify, or a reset.
    let cut = open.read(&mut [0; 1]).await.unwrap_err();
    assert!(
        matches!(
            cut.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
        ),
        "{cut}"
    );
    assert_refused(&first);
    assert!(
        get(&second, "/minio/health/live")
            .await
            .0
            .starts_with("http/1.1 200 ")
    );

    pods.start("minio-0").await.unwrap();
    pods.start("minio-0").await.unwrap();
    assert!(
        get(&first, "/minio/health/live")
            .await
            .0
            .starts_with("http/1.1 200 ")
    );
    assert_eq!(pods.list()[0], first);
}

#[tokio::test]
async fn port_of_a_stopped_pod_stays_reserved() {
    let folder = Folder::new("port");
    let pods = Pods::launch(options(&folder, EMBEDDED)).await.unwrap();
    pods.stop("minio-0").await.unwrap();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    assert_ne!(taken.local_addr().unwrap(), pods.list()[0].s3);
    // A plain bind without SO_REUSEADDR finds it in use.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    let refused = socket.bind(pods.list()[0].s3).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AddrInUse);
}

#[tokio::test]
async fn unknown_pod_is_an_error() {
    let folder = Folder::new("unknown");
    let pods = Pods::launch(options(&folder, EMBEDDED)).await.unwrap();
    let error = pods.stop("minio-7").await.unwrap_err();
    assert_eq!(error.to_string(), "pod \"minio-7\" not found");
}

#[tokio::test]
async fn dropping_pods_ends_them() {
    let folder = Folder::new("end");
    let pods = Pods::launch(options(&folder, EMBEDDED)).await.unwrap();
    let pod = pods.list()[0].clone();
    let mut open = StdStream::connect(pod.console).unwrap();
    pods.shutdown();
    assert_refused(&pod);
    assert!(matches!(open.read(&mut [0; 1]), Ok(0) | Err(_)));
}

#[tokio::test]
async fn pods_share_a_folder_only_if_asked() {
    for (shared, expected) in [(true, vec!["shared"]), (false, vec!["minio-0", "minio-1"])] {
        let folder = Folder::new(if shared { "shared" } else { "apart" });
        let kind = Kind::Embedded {
            shared,
            lenient: false,
        };
        let _pods = Pods::launch(options(&folder, kind)).await.unwrap();
        let entries = fs::read_dir(&folder.0).unwrap();
        let mut names: Vec<_> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, expected);
    }
}

#[tokio::test]
async fn unwritable_folder_is_an_error() {
    let folder = Folder(PathBuf::from("/dev/null/pods"));
    let error = Pods::launch(options(&folder, EMBEDDED)).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot write /dev/null/pods");
}

#[tokio::test]
async fn missing_program_is_an_error() {
    let folder = Folder::new("missing");
    let program = PathBuf::from("/nonexistent/minio");
    let result = Pods::launch(options(&folder, Kind::Minio { program })).await;
    let error = result.unwrap_err().to_string();
    assert_eq!(error, "cannot run /nonexistent/minio");
}

#[tokio::test]
async fn exited_process_shows_the_end_of_its_log() {
    let folder = Folder::new("exits");
    fs::create_dir_all(&folder.0).unwrap();
    let program = folder.0.join("minio");
    fs::write(
        &program,
        "#!/bin/sh\necho starting; echo no such disk >&2; exit 3\n",
    )
    .unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&program, mode).unwrap();
    let error = Pods::launch(options(&folder, Kind::Minio { program }))
        .await
        .unwrap_err();
    let Error::Exited { pod, status, log } = error else {
        panic!("{error}");
    };
    assert_eq!((pod.as_str(), status.code()), ("minio-0", Some(3)));
    assert_eq!(log, "starting\nno such disk");
}

/// Real MinIO: four processes are one deployment, and one of them may be down.
#[tokio::test]
async fn minio_processes_serve_and_restart() {
    let Some(program) = crate::find_minio() else {
        return eprintln!("skipped: needs minio on PATH");
    };
    let folder = Folder::new("minio");
    let options = Options {
        count: 4,
        ..options(&folder, Kind::Minio { program })
    };
    let pods = Pods::launch(options).await.unwrap();
    for pod in pods.list() {
        let (head, body) = get(pod, "/").await;
        assert!(head.starts_with("http/1.1 403 "), "{head}");
        assert!(body.contains("<Code>AccessDenied</Code>"), "{body}");
        assert!(pod.console_tls);
    }
    let pod = &pods.list()[2];
    let served = connect(pod).await;
    let served = served.get_ref().1.peer_certificates().unwrap().to_vec();
    let own = CertificateDer::from_pem_slice(pod.certificate_pem.as_bytes()).unwrap();
    assert_eq!(served, [own]);

    pods.stop(&pod.name).await.unwrap();
    assert_refused(pod);
    pods.start(&pod.name).await.unwrap();
    let (head, _) = get(pod, "/minio/health/live").await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    let list = pods.list().to_vec();
    pods.shutdown();
    list.iter().for_each(assert_refused);
}

/// A pod for any Service: both ports accept TLS and plain HTTP.
#[tokio::test]
async fn lenient_pod_accepts_tls_and_plain_http() {
    let folder = Folder::new("lenient");
    let kind = Kind::Embedded {
        shared: true,
        lenient: true,
    };
    let pods = Pods::launch(options(&folder, kind)).await.unwrap();
    let pod = &pods.list()[0];
    assert!(get(pod, "/").await.0.starts_with("http/1.1 403"));
    for (at, expected) in [(pod.s3, "HTTP/1.1 403"), (pod.console, "HTTP/1.1 200")] {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(expected), "{answer}");
    }
    let console = Pod {
        s3: pod.console,
        ..pod.clone()
    };
    assert!(get(&console, "/").await.0.starts_with("http/1.1 200"));
}
