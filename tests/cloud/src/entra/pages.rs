//! The pages a person sees while signing in and consenting. Plain HTML that works without scripts.

/// An account to choose from.
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) login: String,
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;background:#f2f2f2;color:#1b1b1b;margin:0;padding:2rem 1rem}\
main{max-width:27rem;margin:0 auto;background:#fff;padding:2rem;box-shadow:0 2px 6px #0003}h1{font-size:1.4rem;margin:.5rem 0 1rem}\
label{display:block;margin:.8rem 0 .2rem}input[type=email],input[type=password]{width:100%;box-sizing:border-box;font:inherit;padding:.4rem}\
button{font:inherit;padding:.4rem 1.4rem;margin:1.2rem .5rem 0 0;border:1px solid #8a8886;background:#fff}\
button.primary{background:#0067b8;border-color:#0067b8;color:#fff}button.account{display:block;width:100%;text-align:left;margin:.4rem 0}\
li{margin:.5rem 0}.note{font-size:.85rem;color:#555}.wrong{color:#a80000}";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

fn page(title: &str, content: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main><p class=\"note\">Stand-in for Microsoft</p>\
         <h1>{title}</h1>{content}</main></body></html>"
    )
}

fn form(tenant: &str, flow: &str, content: &str) -> String {
    format!(
        "<form method=\"post\" action=\"/{}/login\"><input type=\"hidden\" name=\"flow\" value=\"{}\">{content}</form>",
        escaped(tenant),
        escaped(flow)
    )
}

/// Sign in with name and password.
pub(crate) fn sign_in(tenant: &str, flow: &str, login: &str, wrong: &str) -> String {
    let wrong = if wrong.is_empty() { String::new() } else { format!("<p class=\"wrong\" role=\"alert\">{}</p>", escaped(wrong)) };
    let content = format!(
        "{wrong}<label for=\"login\">Email</label><input type=\"email\" id=\"login\" name=\"login\" value=\"{}\" required autofocus>\
         <label for=\"passwd\">Password</label><input type=\"password\" id=\"passwd\" name=\"passwd\" required>\
         <button class=\"primary\" name=\"step\" value=\"password\">Sign in</button>",
        escaped(login)
    );
    page("Sign in", &form(tenant, flow, &content))
}

/// Choose one of the accounts that signed in before.
pub(crate) fn accounts(tenant: &str, flow: &str, accounts: &[Account]) -> String {
    let buttons = accounts.iter().map(|account| {
        let (id, name, login) = (escaped(&account.id), escaped(&account.name), escaped(&account.login));
        form(
            tenant,
            flow,
            &format!(
                "<input type=\"hidden\" name=\"step\" value=\"account\"><button class=\"account\" name=\"account\" value=\"{id}\">{name}<br>\
                 <span class=\"note\">{login}</span></button>"
            ),
        )
    });
    let other = form(tenant, flow, "<button class=\"account\" name=\"step\" value=\"other\">Use another account</button>");
    page("Pick an account", &format!("{}{other}", buttons.collect::<String>()))
}

/// What the consent page shows.
pub(crate) struct Request<'a> {
    pub(crate) application: &'a str,
    pub(crate) login: &'a str,
    pub(crate) permissions: Vec<String>,
    /// The consent is for the organisation in any case.
    pub(crate) whole: bool,
    /// The person may consent for the organisation.
    pub(crate) offer: bool,
}

/// `Permissions requested`.
pub(crate) fn permissions(tenant: &str, flow: &str, request: &Request<'_>) -> String {
    let items: String = request.permissions.iter().map(|words| format!("<li>{}</li>", escaped(words))).collect();
    let (title, note) = if request.whole {
        ("Permissions requested", "Review for your organization. If you accept, this app gets access for all users in your organization.")
    } else {
        ("Permissions requested", "This app would like to:")
    };
    let offer = if request.offer && !request.whole {
        "<label><input type=\"checkbox\" name=\"organisation\" value=\"1\"> Consent on behalf of your organization</label>"
    } else {
        ""
    };
    let content = format!(
        "<p class=\"note\">{}</p><p><strong>{}</strong><br><span class=\"note\">unverified</span></p><p>{note}</p><ul>{items}</ul>{offer}\
         <input type=\"hidden\" name=\"step\" value=\"consent\"><button name=\"decision\" value=\"cancel\">Cancel</button>\
         <button class=\"primary\" name=\"decision\" value=\"accept\">Accept</button>",
        escaped(request.login),
        escaped(request.application)
    );
    page(title, &form(tenant, flow, &content))
}

/// The person may not consent.
pub(crate) fn approval(tenant: &str, flow: &str, application: &str, login: &str) -> String {
    let content = format!(
        "<p class=\"note\">{}</p><p><strong>{}</strong> needs permission to access resources in your organization that only an admin can grant. \
         Please ask an admin to grant permission to this app before you can use it.</p><p class=\"note\">AADSTS90094</p>\
         <input type=\"hidden\" name=\"step\" value=\"other\"><button>Have an admin account? Sign in with that account</button>",
        escaped(login),
        escaped(application)
    );
    let back = form(
        tenant,
        flow,
        "<input type=\"hidden\" name=\"step\" value=\"refused\"><button class=\"primary\">Return to the application without granting consent</button>",
    );
    page("Need admin approval", &format!("{}{back}", form(tenant, flow, &content)))
}

/// Nothing can be sent back to the application.
pub(crate) fn failure(number: u32, text: &str) -> String {
    page(
        "Sign in",
        &format!(
            "<p>Sorry, but we're having trouble signing you in.</p><p class=\"wrong\" role=\"alert\">AADSTS{number}: {}</p>",
            escaped(text)
        ),
    )
}

/// Sends the answer to the application by a form, with a button for those without scripts.
pub(crate) fn form_post(action: &str, fields: &[(&str, String)]) -> String {
    let hidden: String =
        fields.iter().map(|(name, value)| format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escaped(value))).collect();
    format!(
        "<!doctype html><html lang=\"en\"><head><title>Working...</title></head><body><form method=\"post\" name=\"hiddenform\" action=\"{}\">{hidden}\
         <noscript><p>Script is disabled. Click Submit to continue.</p></noscript><input type=\"submit\" value=\"Submit\"></form>\
         <script>document.forms[0].submit()</script></body></html>",
        escaped(action)
    )
}
