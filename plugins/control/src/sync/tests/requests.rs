//! Everything that a synchronisation asks, for the comparison with Microsoft's description in `oracle`.

use serde_json::{Value, json};
use signet_plugin_sdk::control::{Request, Synchronisation};

use super::tenant::Tenant;
use super::{BASE, Service, answer, connection, failure};
use crate::sync::{page, photo};

const GROUP: &str = "22222222-2222-4222-8222-222222222222";

/// Everything that is asked, those of a batch one by one after it.
pub(crate) fn requests() -> Vec<Request> {
    let mut requests = Vec::new();
    for synchronisation in [Synchronisation::Full, Synchronisation::Limited(GROUP.to_owned())] {
        let tenant = Tenant::new(7);
        tenant.borrow_mut().put_group(GROUP, "signed");
        for number in 0..60 {
            let user = format!("u{number}");
            tenant.borrow_mut().put_user(&user, "name", true);
            tenant.borrow_mut().set_member(GROUP, &user, true);
            tenant.borrow_mut().set_manager(&user, Some("u0".to_owned()));
        }
        let service = Service::new(|request| tenant.borrow_mut().reply(request));
        let (mut cursor, mut rounds) = (None, 0);
        while rounds < 2 {
            let page = page(&service, &connection(synchronisation.clone()), cursor.as_deref()).expect("a page");
            if page.complete {
                rounds += 1;
                (0..60).for_each(|number| tenant.borrow_mut().set_manager(&format!("u{number}"), None));
            }
            cursor = Some(page.cursor);
        }
        requests.append(&mut service.sent.borrow_mut());
    }
    for width in [648, 64] {
        let described = json!({ "@odata.mediaEtag": "t", "width": width, "height": width });
        let service = Service::scripted(vec![("$value", failure(404, "x")), ("/photo", answer(200, &described))]);
        photo(&service, &connection(Synchronisation::Full), "u1", None).expect("none");
        requests.append(&mut service.sent.borrow_mut());
    }
    requests.iter().flat_map(unpacked).collect()
}

fn unpacked(request: &Request) -> Vec<Request> {
    let body: Value = request.body.as_deref().map_or(Value::Null, |body| serde_json::from_slice(body).expect("JSON"));
    let inner = body["requests"].as_array().into_iter().flatten().map(|inner| Request {
        method: inner["method"].as_str().expect("a method").to_owned(),
        url: format!("{BASE}{}", inner["url"].as_str().expect("an address")),
        headers: inner["headers"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.as_str().expect("text").to_owned()))
            .collect(),
        body: None,
        credential: request.credential.clone(),
    });
    std::iter::once(request.clone()).chain(inner).collect()
}
