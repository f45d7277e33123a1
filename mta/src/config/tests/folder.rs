//! A folder with everything that the example configurations name, made fresh.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, KeyPair, PKCS_ED25519, PKCS_RSA_SHA256, date_time_ymd};

/// Certificates made here are valid from 2026 to 2036; tests run at this time.
pub(super) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// What `plugins/*.wasm` contain: the beginning of any component.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// RSA of 1024 bits, which no library makes any more. It opens nothing.
const SMALL_KEY: &str = "\
-----BEGIN RSA PRIVATE KEY-----
MIICXQIBAAKBgQDHaxTO0UvHFQVs3hy2JMj8s+F3trmfYNPUFaDGuKXxRwF5OVqm
fH0YNIa3oFeVCNKtnWKlhv8LzeF2CEw528ROzlacNTcQrS8q4yEzOcyNEycx4Re7
PXpefuFcemmflPk5L+EAeEYbDpO6Bks6TaWRuJAKJrHn3ZN/fXSAxpq6UwIDAQAB
AoGABiovSH175DmoI0dyh8b3V6iP7c1+S4kIw2OvxrTqnFzflMnLHZ53l4n4KDES
xA6zxJ468HcN52WD9Mwo3xkGJoNyda99xg6uzutAUeojo8BhP007LYZdBBn7Hf1t
550CK5QDv4ERf/cqxuofdMV8DsYTkH5LG91QnVjg3HtwbwECQQD/4ZGvWsn7e1iS
OSx7hwpDvVBgxFCf8wprTX5urgyKMJQciQ0SIZ9dqC/0xw/7GFFdO1EIvWNGkW4J
rc5zpHITAkEAx4LMG8nij7qx9gZ1Hx4Z7l8N6yngL4eFvDyvOXzE9ti+k44Xr87v
WaPCDrCHtUIpmHH3TYQKOPAKsWmGkQOewQJBALm1MFKgBa+q2aFmNU6Bt4VqRIe2
cv1jGtC9sWEKmLdCgnwjS4U5ObxzcDqqroKCJ6sOfcVmDkMNEVuc9RUg6FkCQAcB
O6NaIj9Doc3uihwulWB+K+Hu1XU1v+dNBiXxkITONVq+6Wv9yv+NtVmIrysZCJbW
oYUyNp2rJ+T0vInI48ECQQDesr/ZAUzsKy8SQ51zWJ/f0bhTGsxXayHNFdN71rZ8
7is/Z2iDtiv6onDSejtEoLXeGH2zulsrCsHh9oKPAs6D
-----END RSA PRIVATE KEY-----
";

pub(super) struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

impl Folder {
    pub(super) fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = Self(std::env::temp_dir().join(format!("signet-config-{}-{number}", std::process::id())));
        let materials = materials();
        for name in ["mx", "example", "console", "entra"] {
            folder.write(&format!("tls/{name}.pem"), materials.certificate.as_bytes());
            folder.secret(&format!("tls/{name}.key"), materials.key.as_bytes());
        }
        folder.write("tls/expired.pem", materials.expired.as_bytes());
        folder.secret("tls/other.key", materials.other_key.as_bytes());
        folder.write("tls/exposed.key", materials.key.as_bytes());
        folder.write("tls/roots.pem", materials.certificate.as_bytes());
        for name in ["arc", "dkim"] {
            folder.secret(&format!("secrets/{name}.pem"), materials.rsa_key.as_bytes());
        }
        folder.secret("secrets/ed25519.pem", materials.ed25519_key.as_bytes());
        folder.secret("secrets/small.pem", SMALL_KEY.as_bytes());
        folder.secret("secrets/loop.key", b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n");
        folder.secret("secrets/short.key", b"0123456789\n");
        folder.secret("secrets/example.txt", b"a-long-random-word\n");
        folder.secret("secrets/crm.txt", b"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\n");
        folder.write("plugins/select.wasm", COMPONENT);
        folder.secret("secrets/setup.txt", b"a-client-secret\n");
        folder.write("plugins/render.wasm", COMPONENT);
        folder.write("plugins/control.wasm", COMPONENT);
        folder.write("rules.toml", b"# rules\n");
        folder.write("templates/plain/standard.txt", b"{{ displayName }}\n");
        folder.write("templates/standard.html", b"<p>{{ displayName }}</p>\n");
        folder.write("assets/logo.png", PNG);
        folder.write("text/readme.txt", b"no image\n");
        folder.write("people.toml", b"[[person]]\naddress = \"ada@example.com\"\n");
        folder.write("broken.toml", b"[[person]]\naddress = \"ada\"\n[[person]]\naddress = \"ada@example.com\"\nalias = \"a\"\n");
        folder.write("people.csv", b"address,displayName\nada@works.example,Ada King\n");
        folder.write("broken.csv", b"address,displayName\nada,Ada King\nada@works.example\n");
        fs::create_dir_all(folder.path("state")).expect("the folder can be made");
        folder
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("the folder can be made");
        fs::write(&path, content).expect("the file can be written");
        path
    }

    pub(super) fn secret(&self, name: &str, content: &[u8]) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.write(name, content);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("the file is ours");
        path
    }

    /// Without the folder's own name, which differs from run to run.
    pub(super) fn shorten(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.display()), "")
    }
}

struct Materials {
    certificate: String,
    key: String,
    expired: String,
    other_key: String,
    rsa_key: String,
    ed25519_key: String,
}

/// Making keys is slow, so it is done once.
fn materials() -> &'static Materials {
    static MATERIALS: OnceLock<Materials> = OnceLock::new();
    MATERIALS.get_or_init(|| {
        let key = KeyPair::generate().expect("keys can be made");
        let certificate = |until: i32| {
            let mut params = CertificateParams::new(["mx.signet.example", "k7q2m4x9.smtp.signet.example"].map(str::to_owned))
                .expect("the name is valid");
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(until, 1, 1);
            params.self_signed(&key).expect("it can be signed").pem()
        };
        Materials {
            certificate: certificate(2036),
            expired: certificate(2021),
            other_key: KeyPair::generate().expect("keys can be made").serialize_pem(),
            rsa_key: KeyPair::generate_for(&PKCS_RSA_SHA256).expect("keys can be made").serialize_pem(),
            ed25519_key: KeyPair::generate_for(&PKCS_ED25519).expect("keys can be made").serialize_pem(),
            key: key.serialize_pem(),
        }
    })
}
