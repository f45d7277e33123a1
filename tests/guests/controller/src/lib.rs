//! A control plugin that does to the host whatever the person's "id" says: one word, then its arguments. What it saw is the explanation.

use signet_plugin_sdk::control::*;
use signet_plugin_sdk::{Description, Level, log};

struct Hostile;

fn request(method: &str, url: &str, credential: &str, headers: &[&str], body: Option<Vec<u8>>) -> Request {
    let headers = headers.iter().filter_map(|field| field.split_once(':')).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    let credential = (credential != "-").then(|| credential.to_owned());
    Request { method: method.to_owned(), url: url.to_owned(), headers, body, credential }
}

fn seen(answer: Result<Response, HttpError>) -> String {
    match answer {
        Ok(Response { status, headers, body }) => format!("{status} {headers:?} {}", String::from_utf8_lossy(&body)),
        Err(error) => format!("{error:?}"),
    }
}

fn act(around: &dyn Surroundings, words: &[&str]) -> String {
    match words {
        ["send", method, url, credential, headers @ ..] => seen(around.send(&request(method, url, credential, headers, None))),
        ["post", url, size] => {
            let body = vec![b'x'; size.parse().unwrap_or_default()];
            seen(around.send(&request("POST", url, "-", &[], Some(body))))
        }
        ["length", url] => match around.send(&request("GET", url, "-", &[], None)) {
            Ok(response) => response.body.len().to_string(),
            Err(error) => format!("{error:?}"),
        },
        ["follow", url] => match around.send(&request("GET", url, "-", &[], None)) {
            Ok(Response { status: 300..400, headers, .. }) => {
                let to = headers.iter().find(|(name, _)| name == "location").map(|(_, value)| value.clone()).unwrap_or_default();
                format!("{to}: {}", seen(around.send(&request("GET", &to, "-", &[], None))))
            }
            other => seen(other),
        },
        ["storm", url] => {
            let mut sent = 0;
            loop {
                if let Err(error) = around.send(&request("GET", url, "-", &[], None)) {
                    return format!("{sent} {error:?}");
                }
                sent += 1;
            }
        }
        ["write", key, value] => format!("{:?}", around.write(key, value.as_bytes())),
        ["read", key] => around.read(key).map_or_else(|| "none".to_owned(), |value| String::from_utf8_lossy(&value).into_owned()),
        ["remove", key] => {
            around.remove(key);
            String::new()
        }
        ["keys", prefix] => around.keys(prefix).join(","),
        ["hoard"] => {
            let mut kept = 0;
            loop {
                if let Err(error) = around.write(&format!("hoard-{kept}"), &vec![0; 1 << 20]) {
                    return format!("{kept} {error}");
                }
                kept += 1;
            }
        }
        ["long-key"] => format!("{:?}", around.write(&"k".repeat(257), b"")),
        ["now"] => format!("{} {}", around.now(), around.now()),
        ["panic"] => panic!("a defect"),
        ["loop"] => {
            let mut n = 0u64;
            loop {
                n = std::hint::black_box(n.wrapping_add(1));
            }
        }
        ["bomb"] => {
            let mut hoard: Vec<Vec<u8>> = Vec::new();
            loop {
                hoard.push(std::hint::black_box(vec![1; 1 << 20]));
            }
        }
        ["chatter"] => loop {
            log(Level::Info, "a\nb");
        },
        ["clocks"] => loop {
            std::hint::black_box(around.now());
        },
        _ => "what?".to_owned(),
    }
}

fn problem(detail: &str) -> Problem {
    Problem { cause: Cause::Other("test".to_owned()), detail: detail.to_owned(), next_step: "Try\nagain.".to_owned(), wait: Some(u32::MAX) }
}

impl Controller for Hostile {
    fn new() -> Self {
        Self
    }
    fn describe(&self) -> Description {
        Description::new("hostile", "1.0.0")
    }
    /// Lines of actions; `fail` at the end makes the call a problem.
    fn check_administrator(&self, around: &dyn Surroundings, _: &Connection, person: &str) -> Result<Administrator, Problem> {
        let mut explanation = Vec::new();
        for line in person.lines() {
            if line == "fail" {
                return Err(problem("It was\u{7} told to."));
            }
            explanation.push(act(around, &line.split(' ').collect::<Vec<_>>()));
        }
        let explanation = explanation.join(" | ");
        Ok(Administrator { standing: Standing::Direct, sufficient: true, explanation, steps: Vec::new(), source: String::new() })
    }
    fn read_organisation(&self, _: &dyn Surroundings, connection: &Connection) -> Result<Organisation, Problem> {
        let (id, name) = (connection.tenant.clone(), format!("{connection:?}"));
        Ok(Organisation { id, name, initial_domain: "Example.ORG".to_owned(), domains: connection.domains.clone() })
    }
    fn find_groups(&self, _: &dyn Surroundings, _: &Connection, text: &str, limit: u32) -> Result<Vec<Group>, Problem> {
        let more = u32::from(text == "too many");
        Ok((0..limit + more).map(|n| Group { id: n.to_string(), name: text.to_owned(), address: "g@example.org".to_owned() }).collect())
    }
    fn read_group(&self, _: &dyn Surroundings, _: &Connection, id: &str) -> Result<Group, Problem> {
        Ok(Group { id: id.to_owned(), name: "Sales".to_owned(), address: "sales@example.org".to_owned() })
    }
    fn make_plan(&self, _: &dyn Surroundings, _: &Connection, goal: &Goal) -> Result<Plan, Problem> {
        let difference = Difference { property: "Enabled".to_owned(), before: String::new(), after: "true".to_owned() };
        let differences = vec![difference];
        let (title, purpose) = (format!("{goal:?}"), "To see it.".to_owned());
        let step = Step { id: "only-step".to_owned(), title, purpose, action: Action::Create, differences };
        Ok(Plan { steps: vec![step], notes: Vec::new() })
    }
    fn apply_step(&self, _: &dyn Surroundings, _: &Connection, _: &Goal, step: &str, trial: &Trial) -> Result<Outcome, Problem> {
        Ok(match (step, trial) {
            ("again", _) => Outcome::Again((7, "Soon.".to_owned())),
            ("ask", _) => Outcome::ActionNeeded("Line 1\r\nLine 2".to_owned()),
            ("probe", Trial::None) => Outcome::Probe("probe@example.org".to_owned()),
            ("probe", trial) => Outcome::Done(vec![format!("{trial:?}")]),
            _ => Outcome::Done(Vec::new()),
        })
    }
    fn write_script(&self, _: &dyn Surroundings, _: &Connection, _: &Goal) -> Result<String, Problem> {
        Ok("# A script\r\nGet-Date\0\n".to_owned())
    }
    /// Reads the link in the cursor, or begins; the cursor is the link that comes back.
    fn sync_page(&self, around: &dyn Surroundings, connection: &Connection, cursor: Option<&[u8]>) -> Result<Page, Problem> {
        let begin = format!("{}/v1.0/users/delta", connection.endpoints[0].value);
        let url = cursor.map_or(begin, |cursor| String::from_utf8_lossy(cursor).into_owned());
        let answer = around.send(&request("GET", &url, "directory", &[], None)).map_err(|error| problem(&format!("{error:?}")))?;
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        let link = body.split('"').find(|part| part.starts_with("http")).unwrap_or_default();
        let token = link.split("token=").nth(1).unwrap_or_default();
        log(Level::Info, &format!("next {token}"));
        around.write("last", token.as_bytes()).map_err(|error| problem(&error))?;
        let entry = Entry { id: "1".to_owned(), addresses: vec!["ada@example.org".to_owned()], attributes: Vec::new(), manager: None };
        let progress = Progress { pages: 1, objects: 1, expected: Some(around.now()), subject: "people".to_owned() };
        let changes = vec![Change::Person(entry), Change::Member(("g".to_owned(), "1".to_owned()))];
        Ok(Page { changes, cursor: link.into(), complete: true, restarted: cursor.is_none(), progress, notes: Vec::new() })
    }
    fn read_photo(&self, _: &dyn Surroundings, _: &Connection, _: &str, tag: Option<&str>) -> Result<Option<Photo>, Problem> {
        let photo = |tag: &str| Photo { media_type: "image/gif".to_owned(), content: b"GIF89a\xff".to_vec(), tag: tag.to_owned() };
        Ok(tag.is_none().then(|| photo("1")))
    }
    fn read_status(&self, _: &dyn Surroundings, _: &Connection) -> Result<Status, Problem> {
        let one = Listed { id: "1".to_owned(), name: "Ada".to_owned(), address: "ada@example.org".to_owned() };
        Ok(Status {
            drift: Vec::new(),
            routed_only: vec![one],
            routed_only_count: 1,
            synchronised_only: Vec::new(),
            synchronised_only_count: 0,
            notes: vec!["a\nb".to_owned()],
        })
    }
    fn advise_spf(&self, connection: &Connection, domain: &str, published: &[String]) -> SpfAdvice {
        let (domain, published) = (domain.to_owned(), published.join(" "));
        SpfAdvice { domain, published, publish: format!("v=spf1 {} -all", connection.spf_term), explanation: String::new() }
    }
}

signet_plugin_sdk::controller!(Hostile);
