//! The organisations to begin with: a small one that is always there, another one for what belongs to nobody here, and as many more people
//! and groups as wanted. The same size and seed give the same.

use serde_json::{Value, json};

use crate::random::{Id, Random};
use crate::tenant::{Assignment, Domain, EXCHANGE_ADMINISTRATOR, GLOBAL_ADMINISTRATOR, Kind, Object, Properties, RoleAssignment, Tenant};
use crate::world::{Application, World};

/// The id of the small organisation, Northwind Harbour.
pub const TENANT: &str = "3f1c9a52-7d0e-4b86-9c41-5e2a8d6b7f10";
/// The id of the other organisation.
pub const FOREIGN_TENANT: &str = "8b7d2c14-93aa-4f0e-8d55-0c6f1e2a3b49";
/// The client id of the application that reads the directory.
pub const SYNC: &str = "5b2f7c0e-1a44-4d83-9f2b-6f6f0c1d7a01";
/// The client id of the application that an administrator sets mail flow up with.
pub const SETUP: &str = "c4e1d9a7-8b30-4c6e-a7d5-2f9b0e3c8d02";
/// The password of every person who can sign in.
pub const PASSWORD: &str = "Pier-3-Northwind!";
const PHOTO: &[u8] = include_bytes!("photo.jpg");

/// How large the organisation is, beyond the people who are always there.
#[derive(Debug, Clone, Default)]
pub struct Size {
    /// More people.
    pub people: usize,
    /// More groups.
    pub groups: usize,
    /// Another seed, other names.
    pub seed: u64,
}

/// Accounts that can sign in: address, and what they are for.
pub const ACCOUNTS: [(&str, &str); 7] = [
    ("astrid.holm@northwind.example", "Global Administrator, direct"),
    ("bo.larsen@northwind.example", "Global Administrator through a group"),
    ("carla.weiss@northwind.example", "Global Administrator, activated for a time (PIM)"),
    ("dan.petersen@northwind.example", "Exchange Administrator"),
    ("hanna.lindqvist@northwind.example", "no administrator"),
    ("tom.okafor@northwind.example", "no administrator"),
    ("admin@contrafforte.example", "Global Administrator of the other organisation"),
];

/// Fills the world.
pub(crate) fn fill(world: &mut World, size: &Size, certificate: &[u8]) {
    world.applications = applications(certificate);
    let now = world.now();
    let mut random = Random::new(size.seed);
    let mut tenant = northwind(now);
    more(&mut tenant, size, &mut random);
    world.tenants = vec![tenant, contrafforte()];
}

fn applications(certificate: &[u8]) -> Vec<Application> {
    let graph = |names: &[&str]| -> Vec<String> { names.iter().map(|name| format!("https://graph.microsoft.com/{name}")).collect() };
    let exchange = |names: &[&str]| -> Vec<String> { names.iter().map(|name| format!("https://outlook.office365.com/{name}")).collect() };
    // The port of a loopback address is not compared, and the path is free, so that any console can be answered.
    let redirects: Vec<String> =
        ["http://127.0.0.1/*", "http://localhost/*", "https://127.0.0.1/*", "https://localhost/*"].map(str::to_owned).to_vec();
    let sync = Application {
        name: "sync".to_owned(),
        display_name: "Signet directory sync".to_owned(),
        client_id: SYNC.to_owned(),
        secret: "sync~secret~of~the~stand-in".to_owned(),
        certificates: vec![certificate.to_vec()],
        redirects: redirects.clone(),
        roles: graph(&["User.Read.All", "GroupMember.Read.All", "ProfilePhoto.Read.All"]),
        scopes: graph(&["User.Read"]),
    };
    let setup = Application {
        name: "setup".to_owned(),
        display_name: "Signet mail flow setup".to_owned(),
        client_id: SETUP.to_owned(),
        secret: "setup~secret~of~the~stand-in".to_owned(),
        certificates: vec![certificate.to_vec()],
        redirects,
        roles: exchange(&["Exchange.ManageAsApp"]),
        scopes: [
            graph(&[
                "User.Read",
                "Domain.ReadWrite.All",
                "RoleManagement.Read.Directory",
                "RoleAssignmentSchedule.Read.Directory",
                "Directory.Read.All",
            ]),
            exchange(&["Exchange.Manage"]),
        ]
        .concat(),
    };
    vec![sync, setup]
}

/// A stable id for somebody who is always there.
fn id(number: u32) -> Id {
    Id((0xa11c_e000_0000_4000_8000_0000_0000_0000_u128) | u128::from(number))
}

/// Somebody with an address at the domain: name, title, department, business phone, mobile phone.
fn person(number: u32, domain: &str, name: &str, title: &str, more: &[(&'static str, &str)]) -> Object {
    let (given, surname) = name.split_once(' ').unwrap_or((name, ""));
    let plain = |text: &str| text.to_lowercase().replace('ř', "r").replace('á', "a");
    let address = format!("{}.{}@{domain}", plain(given), plain(surname));
    let mut properties = Properties::from([
        ("displayName", json!(name)),
        ("givenName", json!(given)),
        ("surname", json!(surname)),
        ("userPrincipalName", json!(address)),
        ("mail", json!(address)),
        ("mailNickname", json!(address.split('@').next())),
        ("proxyAddresses", json!([format!("SMTP:{address}")])),
        ("jobTitle", json!(title)),
        ("userType", json!("Member")),
        ("accountEnabled", json!(true)),
        ("createdDateTime", json!("2024-02-01T08:00:00Z")),
    ]);
    for (property, value) in more {
        match *property {
            "businessPhone" => properties.set("businessPhones", json!([value])),
            "alias" => {
                properties.set("proxyAddresses", json!([format!("SMTP:{address}"), format!("smtp:{value}"), format!("SIP:{address}")]));
            }
            name if name.starts_with("extensionAttribute") => {
                properties.set("onPremisesExtensionAttributes", json!({name: value}));
            }
            name => properties.set(name, json!(value)),
        }
    }
    let mut object = Object::new(id(number), Kind::User, properties);
    object.password = Some(PASSWORD.to_owned());
    object
}

const PLACE: [(&str, &str); 5] = [
    ("companyName", "Northwind Harbour"),
    ("streetAddress", "Nordkai 3"),
    ("postalCode", "20457"),
    ("city", "Hamburg"),
    ("country", "Germany"),
];

fn northwind(now: i64) -> Tenant {
    let mut tenant = Tenant::new(TENANT, "Northwind Harbour", "northwind.onmicrosoft.com");
    for (name, default) in [("northwind.example", true), ("campaigns.northwind.example", false)] {
        tenant.domains.push(Domain {
            name: name.to_owned(),
            initial: false,
            default,
            proof: "MS=ms10000001".to_owned(),
            verified: Some(0),
        });
    }
    people(&mut tenant);
    special(&mut tenant);
    groups(&mut tenant);
    let assign = |number: u32, role: &str, principal: u32, assignment: Assignment| RoleAssignment {
        id: format!("northwind-role-{number}"),
        role: role.to_owned(),
        principal: id(principal),
        assignment,
    };
    tenant.roles = vec![
        assign(1, GLOBAL_ADMINISTRATOR, 11, Assignment::Assigned),
        assign(2, GLOBAL_ADMINISTRATOR, 108, Assignment::Assigned),
        // Longer than any demo or test runs.
        assign(3, GLOBAL_ADMINISTRATOR, 13, Assignment::Activated(now + 8 * 3600 * 1000)),
        assign(4, EXCHANGE_ADMINISTRATOR, 14, Assignment::Assigned),
    ];
    tenant
}

fn people(tenant: &mut Tenant) {
    let with = |own: &[(&'static str, &'static str)]| [&PLACE, own].concat();
    let domain = "northwind.example";
    let ada = [("department", "Management"), ("businessPhone", "+494055501400"), ("alias", "ada@northwind.example")];
    let hanna = [
        ("department", "Harbour Office"),
        ("businessPhone", "+494055501410"),
        ("mobilePhone", "+4915155501411"),
        ("officeLocation", "Harbour Office, Pier 3"),
        ("extensionAttribute1", "she/her"),
        ("alias", "h.lindqvist@northwind.example"),
        ("preferredLanguage", "en-GB"),
        ("employeeId", "NH-0007"),
    ];
    let marek =
        [("department", "Commercial"), ("businessPhone", "+494055501420"), ("extensionAttribute7", "https://northwind.example/meet/marek")];
    let sofia = [("department", "Harbour Office"), ("businessPhone", "+494055501412"), ("mobilePhone", "+4915155501413")];
    let mut everyone = vec![
        person(1, domain, "Ada King", "Managing Director", &with(&ada)),
        person(2, domain, "Hanna Lindqvist", "Harbour Master", &with(&hanna)),
        person(3, domain, "Marek Dvořák", "Head of Marine Supplies", &with(&marek)),
        person(4, domain, "Sofia Brandt", "Berth Planner", &with(&sofia)),
        person(5, domain, "Tom Okafor", "Contracts", &[]),
        person(11, domain, "Astrid Holm", "Head of IT", &with(&[("department", "IT")])),
        person(12, domain, "Bo Larsen", "System Administrator", &with(&[("department", "IT")])),
        person(13, domain, "Carla Weiss", "System Administrator", &with(&[("department", "IT")])),
        person(14, domain, "Dan Petersen", "Mail Administrator", &with(&[("department", "IT")])),
    ];
    for (at, manager) in [(1, 1), (2, 1), (3, 2), (5, 1), (6, 11), (7, 11), (8, 11)] {
        everyone[at].manager = Some(id(manager));
    }
    everyone[1].photo = Some(("A2C1F0".to_owned(), PHOTO.to_vec()));
    for object in everyone {
        tenant.seed(object);
    }
}

/// A shared mailbox, a room and a guest: nobody signs in as them.
fn special(tenant: &mut Tenant) {
    for (number, name, address) in [(21, "Harbour Information", "info@northwind.example"), (22, "Pier Room", "pier-room@northwind.example")]
    {
        let properties = Properties::from([
            ("displayName", json!(name)),
            ("userPrincipalName", json!(address)),
            ("mail", json!(address)),
            ("mailNickname", json!(address.split('@').next())),
            ("proxyAddresses", json!([format!("SMTP:{address}")])),
            ("userType", json!("Member")),
            ("accountEnabled", json!(false)),
            ("companyName", json!("Northwind Harbour")),
        ]);
        tenant.seed(Object::new(id(number), Kind::User, properties));
    }
    let guest = Properties::from([
        ("displayName", json!("Gita Partner")),
        ("userPrincipalName", json!("gita_partner.example#EXT#@northwind.onmicrosoft.com")),
        ("mail", json!("gita@partner.example")),
        ("mailNickname", json!("gita_partner.example#EXT#")),
        ("otherMails", json!(["gita@partner.example"])),
        ("proxyAddresses", json!(["SMTP:gita@partner.example"])),
        ("userType", json!("Guest")),
        ("accountEnabled", json!(true)),
        ("externalUserState", json!("Accepted")),
    ]);
    tenant.seed(Object::new(id(23), Kind::User, guest));
}

fn group(id: Id, name: &str, address: &str, (mail, security): (bool, bool), types: &[&str], members: Vec<Id>) -> Object {
    let nickname =
        address.split('@').next().filter(|text| !text.is_empty()).map_or_else(|| name.to_lowercase().replace(' ', "-"), str::to_owned);
    let mut properties = Properties::from([
        ("displayName", json!(name)),
        ("mailNickname", json!(nickname)),
        ("mailEnabled", json!(mail)),
        ("securityEnabled", json!(security)),
        ("groupTypes", json!(types)),
        ("createdDateTime", json!("2024-02-01T08:00:00Z")),
        ("isAssignableToRole", json!(name == "Role holders")),
    ]);
    if !address.is_empty() {
        properties.set("mail", json!(address));
        properties.set("proxyAddresses", json!([format!("SMTP:{address}")]));
    }
    let mut object = Object::new(id, Kind::Group, properties);
    object.members = members;
    object
}

fn groups(tenant: &mut Tenant) {
    let ids = |numbers: &[u32]| -> Vec<Id> { numbers.iter().map(|number| id(*number)).collect() };
    let mail_security = (true, true);
    let all = [
        group(id(101), "Everyone", "everyone@northwind.example", mail_security, &[], ids(&[1, 2, 3, 4, 5, 11, 12, 13, 14, 21])),
        group(id(102), "Commercial", "commercial@northwind.example", mail_security, &[], ids(&[1, 3])),
        group(id(103), "Harbour Office", "harbour-office@northwind.example", mail_security, &[], ids(&[2, 4])),
        group(id(104), "Signature Users", "signature-users@northwind.example", mail_security, &[], ids(&[103, 102, 5])),
        group(id(105), "Senders without campaign banners", "", (false, true), &[], ids(&[5])),
        group(id(106), "Harbour Festival", "harbour-festival@northwind.example", mail_security, &["Unified"], ids(&[2, 3, 23])),
        group(id(107), "Harbour News", "harbour-news@northwind.example", (true, false), &[], ids(&[1, 2, 3, 4, 5])),
        group(id(108), "Role holders", "", (false, true), &[], ids(&[12])),
    ];
    for object in all {
        tenant.seed(object);
    }
}

fn contrafforte() -> Tenant {
    let mut tenant = Tenant::new(FOREIGN_TENANT, "Contrafforte Shipping", "contrafforte.onmicrosoft.com");
    tenant.domains.push(Domain {
        name: "contrafforte.example".to_owned(),
        initial: false,
        default: true,
        proof: "MS=ms10000002".to_owned(),
        verified: Some(0),
    });
    let mut admin = person(201, "contrafforte.example", "Admin Contrafforte", "Administrator", &[]);
    admin.properties.set("userPrincipalName", json!("admin@contrafforte.example"));
    admin.properties.set("mail", json!("admin@contrafforte.example"));
    tenant.seed(admin);
    tenant.roles.push(RoleAssignment {
        id: "contrafforte-role-1".to_owned(),
        role: GLOBAL_ADMINISTRATOR.to_owned(),
        principal: id(201),
        assignment: Assignment::Assigned,
    });
    tenant
}

const GIVEN: [&str; 24] = [
    "Amir", "Birgit", "Chiara", "Dmitri", "Elif", "Farah", "Gustav", "Hiroko", "Ines", "Jonas", "Kwame", "Lucía", "Mei", "Nils", "Olga",
    "Priya", "Quentin", "Rosa", "Sven", "Tereza", "Uche", "Viktor", "Wanda", "Zoë",
];
const SURNAMES: [&str; 20] = [
    "Andersson",
    "Bauer",
    "Costa",
    "Diallo",
    "Eriksen",
    "Fischer",
    "García",
    "Haddad",
    "Ivanova",
    "Jensen",
    "Kowalski",
    "Lindgren",
    "Moreau",
    "Nowak",
    "O'Connor",
    "Petrov",
    "Rossi",
    "Schmidt",
    "Tanaka",
    "Vogel",
];
const TITLES: [&str; 8] =
    ["Account Manager", "Berth Planner", "Crane Operator", "Customs Clerk", "Dispatcher", "Engineer", "Pilot", "Purchaser"];
const DEPARTMENTS: [&str; 6] = ["Commercial", "Customs", "Finance", "Harbour Office", "Operations", "Technology"];

/// People and groups beyond those that are always there.
fn more(tenant: &mut Tenant, size: &Size, random: &mut Random) {
    let mut people: Vec<Id> = Vec::with_capacity(size.people);
    for number in 1..=size.people {
        let mut object = many(number, random);
        // Eight people to a manager, level by level.
        object.manager = if number == 1 { Some(id(1)) } else { people.get((number - 2) / 8).copied() };
        object.properties.shrink();
        people.push(tenant.seed(object));
    }
    let mut made: Vec<Id> = Vec::new();
    for number in 1..=size.groups {
        let object = many_members(number, &people, &made, random);
        made.push(tenant.seed(object));
    }
}

fn many(number: usize, random: &mut Random) -> Object {
    let (given, surname) = (random.pick(&GIVEN), random.pick(&SURNAMES));
    let address = format!("p{number:06}@northwind.example");
    let mut properties = Properties::from([
        ("displayName", json!(format!("{given} {surname}"))),
        ("givenName", json!(given)),
        ("surname", json!(surname)),
        ("userPrincipalName", json!(address)),
        ("mail", json!(address)),
        ("mailNickname", json!(format!("p{number:06}"))),
        ("proxyAddresses", json!([format!("SMTP:{address}"), format!("smtp:alias{number}@northwind.example")])),
        ("jobTitle", json!(random.pick(&TITLES))),
        ("department", json!(random.pick(&DEPARTMENTS))),
        ("companyName", json!("Northwind Harbour")),
        ("businessPhones", json!([format!("+4940556{number:06}")])),
        ("streetAddress", json!(format!("Nordkai {}", 1 + random.below(40)))),
        ("postalCode", json!("20457")),
        ("city", json!("Hamburg")),
        ("country", json!("Germany")),
        ("userType", json!("Member")),
        ("accountEnabled", json!(true)),
    ]);
    if random.below(2) == 0 {
        properties.set("mobilePhone", json!(format!("+49151{number:08}")));
    }
    if random.below(3) == 0 {
        properties.set("onPremisesExtensionAttributes", json!({"extensionAttribute1": format!("value {number}")}));
    }
    Object::new(random.id(), Kind::User, properties)
}

fn many_members(number: usize, people: &[Id], made: &[Id], random: &mut Random) -> Object {
    let kinds: [(bool, bool, &[&str]); 5] =
        [(true, true, &[]), (true, true, &[]), (false, true, &[]), (true, false, &[]), (true, true, &["Unified"])];
    let (mail, security, types) = kinds[if number == 1 { 0 } else { random.below(kinds.len()) }];
    let members: Vec<Id> = if number == 1 {
        // One group holds everybody.
        people.to_vec()
    } else {
        let count = if people.is_empty() { 0 } else { 5 + random.below(50) };
        let mut members: Vec<Id> = (0..count).map(|_| people[random.below(people.len())]).collect();
        if !made.is_empty() && random.below(10) == 0 {
            members.push(made[random.below(made.len())]);
        }
        members.sort_unstable();
        members.dedup();
        members
    };
    let address = if mail { format!("g{number:05}@northwind.example") } else { String::new() };
    group(random.id(), &format!("{} {number}", random.pick(&DEPARTMENTS)), &address, (mail, security), types, members)
}

/// The accounts as the connection file lists them.
pub fn accounts() -> Value {
    ACCOUNTS.iter().map(|(login, role)| json!({"login": login, "password": PASSWORD, "role": role})).collect()
}
