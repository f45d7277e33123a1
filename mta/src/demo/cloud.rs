//! The stand-in for Microsoft's cloud (`signet-cloud`), as the demo uses it: what Signet's configuration says about it, the administrator who walks
//! through its pages, and which way mail takes by the connectors and the rule that are set up there.
//!
//! It knows the stand-in only: the file that it writes, its pages, and its `/_control` addresses. Loopback only.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::{Value, json};
use thiserror::Error;
use url::Url;

use crate::mime::{Class, Message};
use crate::tls::{ClientTls, ClientTlsSettings, Roots};

/// No answer of a stand-in on loopback takes longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Sign-in, choice of an account, consent: more pages than there are.
const PAGES: usize = 6;

/// Why the stand-in cannot be used.
#[derive(Debug, Error)]
pub enum CloudError {
    /// The file that it writes.
    #[error("{path}: {reason}; start `signet-cloud --folder ...` first and name its cloud.json")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The way to it.
    #[error("the stand-in for Microsoft's cloud cannot be reached: {0}")]
    Client(String),
    /// A request.
    #[error("the stand-in for Microsoft's cloud: {0}")]
    Request(String),
    /// The pages did not lead back.
    #[error("the sign-in ended on this page: {0}")]
    Page(String),
}

/// The stand-in.
pub(super) struct Cloud {
    file: Value,
    http: reqwest::Client,
}

/// How the stand-in's rules take a message.
pub(super) struct Way {
    /// The connector by which it leaves; none when it does not go to Signet.
    pub(super) connector: Option<String>,
    /// Fields that the rule adds.
    pub(super) fields: Vec<(String, String)>,
    /// What each rule said.
    pub(super) said: Vec<String>,
}

impl Cloud {
    /// Reads the file that the stand-in writes when it listens.
    pub(super) fn load(path: &Path) -> Result<Self, CloudError> {
        let fail = |reason: String| CloudError::File { path: path.to_owned(), reason };
        let text = std::fs::read_to_string(path).map_err(|error: io::Error| fail(error.to_string()))?;
        let file: Value = serde_json::from_str(&text).map_err(|error| fail(error.to_string()))?;
        let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().timeout(PATIENCE);
        let roots = file["authority"].as_str().map_or(Roots::Native, |file| Roots::File(file.into()));
        let tls = ClientTls::load(&ClientTlsSettings { certificate: None, roots }, SystemTime::now());
        let tls = tls.map_err(|error| CloudError::Client(error.to_string()))?;
        let http = builder.tls_backend_preconfigured((*tls.config).clone()).build();
        Ok(Self { file, http: http.map_err(|error| CloudError::Client(error.to_string()))? })
    }

    /// `[control]` for Signet's configuration.
    pub(super) fn control(&self) -> String {
        let base = self.text(&["base"]);
        let roots = self.file["authority"].as_str().map_or(String::new(), |file| format!("roots = {file:?}\n"));
        let mut text = format!(
            "[control]\negress = [\n  \"GET,POST,DELETE {base}/v1.0/\",\n  \"POST {base}/v1.0/$batch\",\n  \"POST {base}/adminapi/beta/\",\n]\n\
             private_networks = [\"127.0.0.1/32\"]\nsynchronise_every = \"1 min\"\n{roots}\n[control.microsoft]\nauthority = {base:?}\n\
             graph = {base:?}\nexchange = {base:?}\n"
        );
        for (table, name) in [("synchronisation", "sync"), ("setup", "setup")] {
            let of = |key: &str| self.text(&["applications", name, key]);
            // Writing to a String cannot fail.
            write!(
                text,
                "\n[control.{table}]\nclient_id = {:?}\ncertificate = {:?}\nkey = {:?}\n",
                of("client_id"),
                of("certificate"),
                of("key")
            )
            .ok();
        }
        text
    }

    /// Does what a person does on the pages: signs in and accepts. Gives the address that the browser is sent back to.
    pub(super) async fn sign_in(&self, url: &Url, login: &str, password: &str) -> Result<Url, CloudError> {
        let mut answer = self.http.get(url.clone()).send().await.map_err(failed)?;
        for _ in 0..PAGES {
            if let Some(location) = answer.headers().get("location") {
                let location = location.to_str().map_err(|error| CloudError::Request(error.to_string()))?;
                return answer.url().join(location).map_err(|error| CloudError::Request(error.to_string()));
            }
            let at = answer.url().clone();
            let page = answer.text().await.map_err(failed)?;
            let between = |start: &str| page.split(start).nth(1).and_then(|rest| rest.split('"').next());
            let (Some(action), Some(flow)) = (between("action=\""), between("name=\"flow\" value=\"")) else {
                return Err(CloudError::Page(page));
            };
            let action = at.join(action).map_err(|error| CloudError::Request(error.to_string()))?;
            let fields: &[(&str, &str)] = if page.contains("name=\"passwd\"") && !page.contains("role=\"alert\"") {
                &[("flow", flow), ("step", "password"), ("login", login), ("passwd", password)]
            } else if page.contains("name=\"decision\"") {
                &[("flow", flow), ("step", "consent"), ("decision", "accept")]
            } else {
                return Err(CloudError::Page(page));
            };
            let form: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            let post = self.http.post(action).header("content-type", "application/x-www-form-urlencoded").body(form);
            answer = post.send().await.map_err(failed)?;
        }
        Err(CloudError::Page("the sign-in did not end".to_owned()))
    }

    /// Which way a message takes.
    pub(super) async fn route(&self, sender: &str, content: &[u8]) -> Result<Way, CloudError> {
        let calendar =
            matches!(Message::parse(Bytes::copy_from_slice(content)).class(), Class::Passed(class) if class.as_str() == "calendar");
        let (class, fields) = (if calendar { "Calendaring" } else { "" }, fields(content));
        let question = json!({"sender": sender, "size": content.len(), "headers": fields, "type": class});
        let answer = self.ask("route", &question).await?;
        let pairs = |value: &Value| serde_json::from_value(value.clone()).unwrap_or_default();
        let said = answer["rules"].as_array().into_iter().flatten();
        Ok(Way {
            connector: answer["connector"].as_str().map(str::to_owned),
            fields: pairs(&answer["set_headers"]),
            said: said.map(|rule| format!("{}: {}", rule["rule"].as_str().unwrap_or(""), rule["said"].as_str().unwrap_or(""))).collect(),
        })
    }

    /// The connector that lets in a host with these names in its certificate, if there is one.
    pub(super) async fn accepts(&self, certificate_names: &[String]) -> Result<Option<String>, CloudError> {
        let answer = self.ask("accept", &json!({"certificate_names": certificate_names})).await?;
        Ok(answer["connector"].as_str().map(str::to_owned))
    }

    async fn ask(&self, what: &str, question: &Value) -> Result<Value, CloudError> {
        let url = format!("{}/{what}", self.text(&["control"]));
        let request = self.http.post(url).header("content-type", "application/json").body(question.to_string());
        let answer = request.send().await.map_err(failed)?;
        let text = answer.text().await.map_err(failed)?;
        serde_json::from_str(&text).map_err(|_| CloudError::Request(text))
    }

    /// The first account of that standing, and its password.
    pub(super) fn account(&self, role: &str) -> Option<(String, String)> {
        let accounts = self.file["accounts"].as_array()?;
        let account = accounts.iter().find(|account| account.to_string().contains(role))?;
        let text = |key: &str| account[key].as_str().map(str::to_owned);
        Some((text("login").or_else(|| text("userPrincipalName"))?, text("password")?))
    }

    fn text(&self, path: &[&str]) -> &str {
        path.iter().try_fold(&self.file, |value, key| value.get(key)).and_then(Value::as_str).unwrap_or_default()
    }
}

/// Names and values of the header section, unfolded (RFC 5322 section 2.2).
fn fields(content: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(content);
    let header = text.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n ", " ").replace("\r\n\t", " ");
    header.lines().filter_map(|line| line.split_once(':')).map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

fn failed(error: reqwest::Error) -> CloudError {
    CloudError::Request(error.without_url().to_string())
}
