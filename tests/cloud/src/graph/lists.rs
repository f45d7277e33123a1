//! Collections of users and groups: options, advanced queries, paging.

use serde_json::{Map, Value, json};

use super::cursor::Cursor;
use super::errors::Refusal;
use super::filter::{self, Condition};
use super::properties::{Standing, project, standing, type_name, value};
use super::request::{Request, context};
use crate::call::{Answer, Fields};
use crate::tenant::{Kind, Object, Tenant};
use crate::world::World;

/// Items of a page when the client does not say.
const PAGE: usize = 100;
/// The most that it may say.
const MOST: usize = 999;
const OPTIONS: [&str; 8] = ["$select", "$filter", "$search", "$top", "$count", "$orderby", "$expand", "$skiptoken"];

/// Which objects a list is of.
#[derive(Clone, Copy)]
pub(crate) struct Shape<'a> {
    /// The set in `@odata.context`.
    pub(crate) set: &'a str,
    /// The type; none when users and groups are mixed.
    pub(crate) kind: Option<Kind>,
    /// Whether a cast makes `ConsistencyLevel` and `$count` necessary.
    pub(crate) cast: bool,
}

struct Query {
    select: Option<Vec<String>>,
    filter: Option<Condition>,
    search: Option<Vec<(String, String)>>,
    order: Option<(String, bool)>,
    manager: Option<Option<Vec<String>>>,
    top: usize,
    count: bool,
}

/// Judges a name as a property of the kind, in a collection.
fn judge(kind: Option<Kind>) -> impl Fn(&str) -> Result<(), Refusal> {
    move |name| {
        let kinds = kind.map_or(vec![Kind::User, Kind::Group], |kind| vec![kind]);
        let standings: Vec<Standing> = kinds.iter().map(|kind| standing(*kind, name)).collect();
        if standings.contains(&Standing::Everywhere) {
            return Ok(());
        }
        if standings.contains(&Standing::Single) {
            return Err(Refusal::new(501, "NotImplemented", format!("The property '{name}' can only be read of a single object.")));
        }
        let text =
            format!("Parsing OData Select and Expand failed: Could not find a property named '{name}' on type '{}'.", type_name(kinds[0]));
        Err(Refusal::new(400, "BadRequest", text))
    }
}

impl Query {
    fn read(request: &Request<'_>, shape: Shape<'_>) -> Result<Self, Refusal> {
        request.allow(&OPTIONS)?;
        let options = &request.options;
        let judge = judge(shape.kind);
        let select = request.select(&judge)?;
        let of_kinds = |path: &str| match shape.kind {
            Some(kind) => filter::of_kind(kind)(path),
            None => filter::of_kind(Kind::User)(path).or_else(|_| filter::of_kind(Kind::Group)(path)),
        };
        let filter = options.value("$filter").map(|text| filter::parse(text, &of_kinds)).transpose()?;
        let search = options.value("$search").map(search).transpose()?;
        let order = options.value("$orderby").map(|text| order(text, &judge)).transpose()?;
        let manager = options.value("$expand").map(|text| expand(text, shape.kind)).transpose()?;
        let count = match options.value("$count") {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => return Err(Refusal::bad(format!("Invalid value '{other}' for $count."))),
        };
        let top = request.top(PAGE, MOST)?;
        let query = Self { select, filter, search, order, manager, top, count };
        query.consistent(request.eventual(), shape.cast)?;
        Ok(query)
    }

    /// Advanced queries need the header, and all but searches need `$count=true`.
    fn consistent(&self, eventual: bool, cast: bool) -> Result<(), Refusal> {
        let filtered = self.filter.as_ref().is_some_and(Condition::advanced) || (self.filter.is_some() && self.order.is_some());
        let search = self.search.is_some();
        if (search || filtered || cast || self.count) && !eventual {
            return Err(Refusal::unsupported(
                "Request with this query needs the header 'ConsistencyLevel: eventual': $search, $count, casts and advanced filters do.",
            ));
        }
        if (filtered || cast) && !search && !self.count {
            return Err(Refusal::unsupported("The specified filter or cast is not supported without $count=true."));
        }
        Ok(())
    }

    fn fits(&self, object: &Object) -> bool {
        let filtered = self.filter.as_ref().is_none_or(|condition| condition.holds(&|path| value(object, path)));
        filtered && self.search.as_ref().is_none_or(|terms| terms.iter().any(|(name, start)| found(object, name, start)))
    }
}

/// `"displayName:abc"`, several joined by `OR`.
fn search(text: &str) -> Result<Vec<(String, String)>, Refusal> {
    let wrong = || Refusal::bad(format!("Syntax error in $search: {text}. It has the form \"displayName:text\", in double quotes."));
    let mut terms = Vec::new();
    for clause in text.split(" OR ") {
        let inner = clause.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or_else(wrong)?;
        let (name, value) = inner.split_once(':').ok_or_else(wrong)?;
        let mut plain = String::new();
        let mut letters = value.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => plain.push(letters.next().ok_or_else(wrong)?),
                '"' => return Err(wrong()),
                letter => plain.push(letter),
            }
        }
        if !["displayName", "mail", "mailNickname", "userPrincipalName", "givenName", "surname", "description"].contains(&name)
            || plain.is_empty()
        {
            return Err(Refusal::unsupported(format!("Searching by '{name}' is not supported.")));
        }
        terms.push((name.to_owned(), plain.to_lowercase()));
    }
    Ok(terms)
}

fn found(object: &Object, name: &str, start: &str) -> bool {
    let text = object.properties.text(name).to_lowercase();
    text.starts_with(start) || text.split(|letter: char| !letter.is_alphanumeric()).any(|word| !word.is_empty() && word.starts_with(start))
}

fn order(text: &str, judge: &dyn Fn(&str) -> Result<(), Refusal>) -> Result<(String, bool), Refusal> {
    let (name, down) = match text.split(' ').collect::<Vec<_>>()[..] {
        [name] | [name, "asc"] => (name, false),
        [name, "desc"] => (name, true),
        _ => return Err(Refusal::bad(format!("Syntax error in $orderby: {text}."))),
    };
    judge(name)?;
    Ok((name.to_owned(), down))
}

/// `manager` or `manager($select=a,b)`; the stand-in expands nothing else.
pub(crate) fn expand(text: &str, kind: Option<Kind>) -> Result<Option<Vec<String>>, Refusal> {
    if kind != Some(Kind::User) {
        return Err(Refusal::bad(format!("Parsing OData Select and Expand failed: '{text}' cannot be expanded here.")));
    }
    let rest = text.strip_prefix("manager").ok_or_else(|| Refusal::bad(format!("Could not find a navigation property '{text}'.")))?;
    if rest.is_empty() {
        return Ok(None);
    }
    let names = rest.strip_prefix("($select=").and_then(|rest| rest.strip_suffix(')'));
    let names = names.ok_or_else(|| Refusal::bad(format!("Parsing OData Select and Expand failed: '{text}'.")))?;
    names.split(',').try_for_each(judge(Some(Kind::User)))?;
    Ok(Some(names.split(',').map(str::to_owned).collect()))
}

/// Adds `@odata.type`, and the manager when asked for.
fn shown(tenant: &Tenant, object: &Object, query: &Query, mixed: bool) -> Value {
    let mut item = if mixed {
        let names = query
            .select
            .as_ref()
            .map(|names| names.iter().filter(|name| standing(object.kind, name) == Standing::Everywhere).cloned().collect::<Vec<String>>());
        let mut item = Map::from_iter([("@odata.type".to_owned(), json!(object.odata_type()))]);
        item.extend(project(object, names.as_deref()));
        item
    } else {
        project(object, query.select.as_deref())
    };
    if let Some(select) = &query.manager {
        item.extend(manager(tenant, object, select.as_deref()).map(|manager| ("manager".to_owned(), manager)));
        item.entry("id").or_insert_with(|| json!(object.id.to_string()));
    }
    Value::Object(item)
}

/// The manager as an object with its type; none when there is none.
pub(crate) fn manager(tenant: &Tenant, object: &Object, select: Option<&[String]>) -> Option<Value> {
    let manager = tenant.object(object.manager?, Kind::User)?;
    let mut item = Map::from_iter([("@odata.type".to_owned(), json!(manager.odata_type()))]);
    item.extend(project(manager, select));
    item.entry("id").or_insert_with(|| json!(manager.id.to_string()));
    Some(Value::Object(item))
}

/// Answers a list of objects that `source` gives, from the position in the next link on.
pub(crate) fn answer<'t>(
    tenant: &'t Tenant,
    world: &World,
    request: &Request<'_>,
    shape: Shape<'_>,
    source: &mut dyn Iterator<Item = &'t Object>,
) -> Result<(Value, Option<usize>), Refusal> {
    let start = position(world, request)?;
    let query = Query::read(request, shape)?;
    let kind_fits = |object: &&Object| shape.kind.is_none_or(|kind| object.kind == kind);
    let mut fitting = source.filter(kind_fits).filter(|object| query.fits(object));
    let mut page: Vec<&Object> = Vec::new();
    let mut total = 0;
    if let Some((name, down)) = &query.order {
        let mut all: Vec<&Object> = fitting.collect();
        all.sort_by_cached_key(|object| value(object, name).as_str().unwrap_or_default().to_lowercase());
        if *down {
            all.reverse();
        }
        total = all.len();
        page = all.into_iter().skip(start).take(query.top).collect();
    } else {
        for object in fitting.by_ref() {
            if total >= start && total < start + query.top {
                page.push(object);
            }
            total += 1;
            if total > start + query.top && !query.count {
                break;
            }
        }
    }
    let end = start + page.len();
    let mixed = shape.kind.is_none();
    let items: Vec<Value> = page.into_iter().map(|object| shown(tenant, object, &query, mixed)).collect();
    let mut body = json!({"@odata.context": context(world, shape.set)});
    if query.count && start == 0 {
        body["@odata.count"] = json!(total);
    }
    body["value"] = json!(items);
    Ok((body, (end < total).then_some(end)))
}

/// How many objects fit, for `/$count`.
pub(crate) fn count(request: &Request<'_>, shape: Shape<'_>, source: &mut dyn Iterator<Item = &Object>) -> Result<Answer, Refusal> {
    if !request.eventual() {
        return Err(Refusal::unsupported("$count is not supported without the header 'ConsistencyLevel: eventual'."));
    }
    request.allow(&["$filter", "$search"])?;
    let mut counted = Request { call: request.call, access: request.access.clone(), options: request.options.clone() };
    counted.options.0.push(("$count".to_owned(), "true".to_owned()));
    let query = Query::read(&counted, shape)?;
    let fitting = source.filter(|object| shape.kind.is_none_or(|kind| object.kind == kind) && query.fits(object)).count();
    Ok(Answer::text(200, &fitting.to_string()))
}

/// Where the next link says that the page begins. The link is to be followed as it was given.
fn position(world: &World, request: &Request<'_>) -> Result<usize, Refusal> {
    let Some(token) = request.options.value("$skiptoken") else { return Ok(0) };
    let (path, query) = (request.call.path(), without_token(&request.options));
    match world.cursors.get(token) {
        Some(Cursor::List { path: known, query: asked, position }) if known == path && *asked == query => Ok(*position),
        _ => Err(Refusal::new(
            400,
            "Directory_ExpiredPageToken",
            "The specified page token value has expired or does not belong to this query.",
        )),
    }
}

fn without_token(options: &Fields) -> String {
    let pairs = options.0.iter().filter(|(name, _)| name != "$skiptoken");
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Adds the next link and makes the answer.
pub(crate) fn finish(world: &mut World, request: &Request<'_>, listed: (Value, Option<usize>)) -> Answer {
    let (mut body, next) = listed;
    if let Some(position) = next {
        let token = world.random.token(6);
        let (path, query) = (request.call.path().to_owned(), without_token(&request.options));
        let joint = if query.is_empty() { "" } else { "&" };
        // Graph writes the dollar signs of option names as they are.
        let readable = query.replace("%24", "$");
        body["@odata.nextLink"] = json!(format!("{}{path}?{readable}{joint}$skiptoken={token}", world.base));
        world.cursors.insert(token, Cursor::List { path, query, position });
    }
    Answer::json(200, &body)
}
