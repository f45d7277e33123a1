//! Connecting the demo's tenant: by an administrator who walks through the pages, or by whoever opens the console in a browser.
//!
//! It uses what the console uses, [`ControlPlane`], and prints every step when it is done.

use std::convert::Infallible;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::DemoError;
use super::cloud::Cloud;
use super::origin::{Origin, Submission};
use super::stage::TENANT;
use crate::control::credentials::BrowserBinding;
use crate::control::plane::{ControlPlane, Return};
use crate::control::report::{Overview, Stage, StepState};
use crate::control::words::Goal;

/// How often it is looked how far the plan is.
const GLANCE: Duration = Duration::from_millis(200);
/// The stand-in's domains and connectors are there at once; the real ones would need longer.
const PLAN: Duration = Duration::from_secs(240);
/// The account of the stand-in that may do it.
const ROLE: &str = "Global Administrator, direct";

/// Signs in, consents, chooses the recommended settings, authorises, and waits until the tenant is connected.
pub(super) async fn as_administrator(plane: &Arc<ControlPlane>, cloud: &Cloud, out: &mut (dyn Write + Send)) -> Result<(), DemoError> {
    let (login, password) = cloud.account(ROLE).ok_or(DemoError::NoAdministrator)?;
    let browser = BrowserBinding::of(b"the demo's administrator");
    writeln!(out, "Connecting the tenant as {login} ...")?;
    let mut url = plane.begin(TENANT, browser).await?;
    loop {
        let back = cloud.sign_in(&url, &login, &password).await?;
        match plane.returned(back.query().unwrap_or_default(), browser).await? {
            Return::Onward(next) => url = next,
            Return::Tenant(_) => break,
        }
    }
    plane.choose_people(TENANT, None).await?;
    plane.choose_routing(TENANT, None).await?;
    let url = plane.authorize(TENANT, Goal::Connect, browser).await?;
    let back = cloud.sign_in(&url, &login, &password).await?;
    plane.returned(back.query().unwrap_or_default(), browser).await?;
    until_connected(plane, PLAN, out).await
}

/// Waits until the tenant is connected and its people are there, printing each step of the plan once.
pub(super) async fn until_connected(plane: &Arc<ControlPlane>, most: Duration, out: &mut (dyn Write + Send)) -> Result<(), DemoError> {
    let (begun, mut printed) = (Instant::now(), 0);
    loop {
        let overview = plane.overview(TENANT).await?;
        print(&overview, &mut printed, out)?;
        if overview.stage == Stage::Connected && overview.synchronised.complete.is_some() {
            writeln!(out, "Connected; {} people and {} groups are known.\n", overview.synchronised.people, overview.synchronised.groups)?;
            return Ok(());
        }
        if begun.elapsed() > most {
            let trouble = overview.trouble.map(|trouble| format!(": {} {}", trouble.detail, trouble.next_step)).unwrap_or_default();
            return Err(DemoError::NotConnected(trouble));
        }
        tokio::time::sleep(GLANCE).await;
    }
}

fn print(overview: &Overview, printed: &mut usize, out: &mut (dyn Write + Send)) -> Result<(), DemoError> {
    let Some(work) = &overview.work else { return Ok(()) };
    let done = work.steps.iter().take_while(|step| step.state == StepState::Done).count();
    for step in work.steps.iter().take(done).skip(*printed) {
        writeln!(out, "  done  {}", step.step.title)?;
        for line in &step.changed {
            writeln!(out, "        {line}")?;
        }
    }
    *printed = done.max(*printed);
    Ok(())
}

/// What Exchange Online does with a message that Signet sends to try the way: it lets it in by the inbound connector, and routes it by the rule. Never
/// ends.
pub(super) async fn exchange(stage: &super::Stage, origin: &Origin, cloud: &Cloud) -> Result<Infallible, DemoError> {
    let mut count = stage.return_host().count();
    loop {
        count += 1;
        stage.return_host().wait_for(count).await;
        for received in stage.return_host().take() {
            let sender = received.mail_from.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
            let way = cloud.route(&sender, &received.content).await?;
            if cloud.accepts(&received.certificate_names).await?.is_none() || way.connector.is_none() {
                // It is lost, as it would be: Signet says so when its patience has ended.
                continue;
            }
            let stamp = ("X-MS-Exchange-CrossTenant-Id".to_owned(), TENANT.to_owned());
            let fields = way.fields.iter().chain(std::iter::once(&stamp));
            let mut content: Vec<u8> = fields.flat_map(|(name, value)| format!("{name}: {value}\r\n").into_bytes()).collect();
            content.extend(&received.content);
            let fail = |source| DemoError::Origin { file: "the trial of the way", source };
            let mut connection = origin.connect().await.map_err(fail)?;
            let mail_from = format!("<{sender}>");
            let submission = Submission { mail_from: &mail_from, recipients: &received.recipients, content: &content, chunked: true };
            connection.submit(&submission).await.map_err(fail)?;
            connection.quit().await.map_err(fail)?;
        }
    }
}
