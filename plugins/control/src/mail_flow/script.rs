//! The plan as a PowerShell script that an administrator reads and runs, for tenants that do not grant the cmdlet endpoint.
//!
//! It does what the steps do, object by object: looks first, refuses what is not ours, changes only what differs. No value can leave its
//! place: every one is a single-quoted string, with every sign doubled that PowerShell takes for a single quote.

use signet_plugin_sdk::control::{Connection, Goal, Problem, Routing};

use super::objects::{self, Kind, Scope, Setting, Value, comment, marker};
use super::unknown;

/// The script for a goal.
pub(crate) fn write(connection: &Connection, goal: &Goal) -> Result<String, Problem> {
    match goal {
        Goal::Connect => Ok(connect(connection)),
        Goal::Disconnect => Ok(disconnect(connection)),
        Goal::Other(other) => Err(unknown("goal", other)),
    }
}

/// Signs that end a single-quoted string for PowerShell: the apostrophe and its typographic relatives.
const QUOTES: &[char] = &['\'', '\u{2018}', '\u{2019}', '\u{201A}', '\u{201B}'];

/// A literal string.
fn quoted(text: &str) -> String {
    let mut literal = "'".to_owned();
    for letter in text.chars() {
        if QUOTES.contains(&letter) {
            literal.push(letter);
        }
        literal.push(letter);
    }
    literal.push('\'');
    literal
}

fn literal(value: &Value) -> String {
    match value {
        Value::Word(text) | Value::Secret(text) | Value::Reference(text, _) => quoted(text),
        Value::Flag(true) => "$true".to_owned(),
        Value::Flag(false) => "$false".to_owned(),
        Value::List(list) | Value::Secrets(list) => format!("@({})", list.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ")),
        Value::Size(octets) => quoted(&format!("{octets}B")),
        Value::Nothing | Value::Empty => "$null".to_owned(),
    }
}

fn table(name: &str, settings: &[Setting]) -> String {
    let lines = settings.iter().map(|setting| format!("    {} = {}\n", setting.name, literal(&setting.value)));
    format!("${name} = [ordered]@{{\n{}}}\n", lines.collect::<String>())
}

/// The beginning of both scripts.
fn head(connection: &Connection, purpose: &str, parameters: &str) -> String {
    format!(
        "# {purpose}\n\
         # Run it first with -WhatIf: it then only says what it would do. It can be run again at any time and changes only what differs.\n\
         # It needs the module ExchangeOnlineManagement and a Global Administrator or Exchange Administrator.\n\
         # It holds a secret word of this tenant: keep it to yourself.\n\
         #Requires -Modules ExchangeOnlineManagement\n\
         [CmdletBinding(SupportsShouldProcess)]\n\
         param({parameters})\n\
         Set-StrictMode -Version 2.0\n\
         $ErrorActionPreference = 'Stop'\n\
         $Tenant = {tenant}\n\
         $CertificateDomain = {domain}\n\
         $Marker = {marker}\n\
         if (-not (Get-Command -Name Get-TransportRule -ErrorAction SilentlyContinue)) {{ Connect-ExchangeOnline -ShowBanner:$false }}\n\
         if (@(Get-ConnectionInformation | Where-Object {{ $_.TenantID -eq $Tenant }}).Count -eq 0) {{\n\
         \x20   throw \"Connect to the tenant $Tenant first: Connect-ExchangeOnline\"\n\
         }}\n\n\
         # Ours is what has our name and our marker. Something of our name without the marker stops the script.\n\
         function Select-Ours($Objects, $Name, $Comment) {{\n\
         \x20   $named = @($Objects | Where-Object {{ $_.Name -eq $Name }})\n\
         \x20   $ours = @($named | Where-Object {{ \"$($_.$Comment)\".Contains($Marker) }})\n\
         \x20   if ($named.Count -gt 0 -and $ours.Count -eq 0) {{ throw \"'$Name' is there and was not made for Signet: rename or remove it first\" }}\n\
         \x20   $ours | Select-Object -First 1\n\
         }}\n\n",
        tenant = quoted(&connection.tenant),
        domain = quoted(&connection.certificate_domain),
        marker = quoted(&marker(connection)),
    )
}

/// What only the script that connects needs.
const DIFFERING: &str = "# The settings that differ from what is there.\n\
     function Select-Differing($Object, $Wanted) {\n\
     \x20   $differing = @{}\n\
     \x20   foreach ($key in $Wanted.Keys) {\n\
     \x20       $is = @($Object.$key | Where-Object { $null -ne $_ } | ForEach-Object { \"$_\" -replace '^smtp:(.*);\\d+$', '$1' } | Sort-Object) -join \"`n\"\n\
     \x20       $shall = @($Wanted[$key] | Where-Object { $null -ne $_ } | ForEach-Object { \"$_\" } | Sort-Object) -join \"`n\"\n\
     \x20       if ($shall -match '^\\d+B$' -and $is -match '\\(([\\d,]+) bytes\\)') { $is = ($Matches[1] -replace ',') + 'B' }\n\
     \x20       if ($is -ne $shall) { $differing[$key] = $Wanted[$key] }\n\
     \x20   }\n\
     \x20   foreach ($pair in @('ExceptIfHeaderContainsMessageHeader', 'ExceptIfHeaderContainsWords'), @('SetHeaderName', 'SetHeaderValue')) {\n\
     \x20       if ($differing.ContainsKey($pair[0]) -or $differing.ContainsKey($pair[1])) {\n\
     \x20           foreach ($key in $pair) { $differing[$key] = $Wanted[$key] }\n\
     \x20       }\n\
     \x20   }\n\
     \x20   $differing\n\
     }\n\n";

/// One object: read, compare, create or change.
fn ensure(connection: &Connection, kind: Kind, variable: &str, settings: &[Setting], create: &str) -> String {
    let (noun, name, remark) = (kind.noun(), quoted(kind.name()), kind.comment());
    format!(
        "{table}\
         $found = Select-Ours (Get-{noun} -ResultSize Unlimited) {name} {property}\n\
         if ($null -eq $found) {{\n\
         \x20   $new = @{{}}\n\
         \x20   foreach ($key in ${variable}.Keys) {{ if ($null -ne ${variable}[$key]) {{ $new[$key] = ${variable}[$key] }} }}\n\
         \x20   New-{noun} -Name {name} -{remark} {comment} @new{create} -WhatIf:$WhatIfPreference | Out-Null\n\
         }} else {{\n\
         \x20   $change = Select-Differing $found ${variable}\n\
         \x20   if ($change.Count -gt 0) {{ Set-{noun} -Identity \"$($found.Guid)\" @change -WhatIf:$WhatIfPreference }}\n\
         }}\n",
        table = table(variable, settings),
        property = quoted(remark),
        comment = quoted(&comment(connection)),
    )
}

fn connect(connection: &Connection) -> String {
    let mut script = head(connection, "Connects this Microsoft 365 tenant to Signet.", "[switch]$EnableRule");
    script.push_str(DIFFERING);
    script.push_str(
        "# 1. Exchange Online takes mail back only from a certificate with a domain of this tenant.\n\
         if (@(Get-AcceptedDomain -ResultSize Unlimited | Where-Object { $_.DomainName -eq $CertificateDomain }).Count -eq 0) {\n\
         \x20   throw \"Add and verify the domain $CertificateDomain in the Microsoft 365 admin center (Settings, Domains), wait some minutes, and run this again\"\n\
         }\n\n\
         # 2. The connector that takes signed mail back.\n",
    );
    script.push_str(&ensure(connection, Kind::Inbound, "inbound", &objects::inbound(connection), ""));
    script.push_str(
        "\n# 3. The connector to Signet: only for messages that a rule sends there, only over TLS, only to a host that proves its name.\n",
    );
    script.push_str(&ensure(connection, Kind::Outbound, "outbound", &objects::outbound(connection), ""));
    script.push_str(
        "if (-not $WhatIfPreference) {\n\
         \x20   $off = @(Get-InboundConnector -ResultSize Unlimited; Get-OutboundConnector -ResultSize Unlimited) | Where-Object { \"$($_.Comment)\".Contains($Marker) -and -not $_.Enabled }\n\
         \x20   if ($off) { throw 'Exchange Online keeps a connector switched off: ask the support of Microsoft to enable it, then run this again' }\n\
         }\n\n",
    );
    script.push_str(&script_rule(connection));
    script
}

fn script_rule(connection: &Connection) -> String {
    let mut script = "# 4. The rule that chooses what goes to Signet. It is created switched off.\n".to_owned();
    let scope = match &connection.routing {
        Routing::AllUsers => Scope::Everybody,
        Routing::Group(id) => {
            script.push_str(&format!(
                "$GroupId = {}\n\
                 $group = @(Get-DistributionGroup -RecipientTypeDetails MailUniversalSecurityGroup -ResultSize Unlimited | Where-Object {{ $_.ExternalDirectoryObjectId -eq $GroupId }})\n\
                 if ($group.Count -ne 1) {{ throw \"$GroupId is no mail-enabled security group (any more): choose another one in Signet\" }}\n",
                quoted(id)
            ));
            Scope::Everybody
        }
    };
    let connector = (Kind::Outbound.name().to_owned(), String::new());
    let settings = objects::rule(connection, connector, &scope);
    let body = ensure(connection, Kind::Rule, "rule", &settings, " -Enabled $false -Priority 0");
    let members = "FromMemberOf = $null";
    script.push_str(&match connection.routing {
        Routing::AllUsers => body,
        Routing::Group(_) => body.replacen(members, "FromMemberOf = @(\"$($group[0].PrimarySmtpAddress)\")", 1),
    });
    script.push_str(&format!(
        "\n# 5. Switched on last, once a message of somebody who agreed came back signed: run this again with -EnableRule then.\n\
         $found = Select-Ours (Get-TransportRule -ResultSize Unlimited) {name} 'Comments'\n\
         if ($EnableRule -and $null -ne $found) {{\n\
         \x20   if ($found.State -ne 'Enabled') {{ Enable-TransportRule -Identity \"$($found.Guid)\" -WhatIf:$WhatIfPreference }}\n\
         }} elseif ($null -ne $found -and $found.State -ne 'Enabled') {{\n\
         \x20   Write-Output 'The rule is off. Run this again with -EnableRule to send mail through Signet.'\n\
         }}\n",
        name = quoted(Kind::Rule.name()),
    ));
    script
}

fn disconnect(connection: &Connection) -> String {
    let mut script = head(connection, "Disconnects this Microsoft 365 tenant from Signet.", "[switch]$RuleIsSettled");
    let rule = quoted(Kind::Rule.name());
    script.push_str(&format!(
        "# 1. The rule is switched off first. Some servers may use it for another hour, and what it needs must stay that long.\n\
         $found = Select-Ours (Get-TransportRule -ResultSize Unlimited) {rule} 'Comments'\n\
         if ($null -ne $found -and $found.State -eq 'Enabled') {{\n\
         \x20   Disable-TransportRule -Identity \"$($found.Guid)\" -Confirm:$false -WhatIf:$WhatIfPreference\n\
         \x20   Write-Output 'The rule is off. Wait an hour, then run this again with -RuleIsSettled to remove everything.'\n\
         \x20   return\n\
         }}\n\
         if (-not $RuleIsSettled) {{\n\
         \x20   Write-Output 'Run this again with -RuleIsSettled when the rule has been off for an hour.'\n\
         \x20   return\n\
         }}\n\n\
         # 2. The rule and the connectors, in this order.\n",
    ));
    for kind in [Kind::Rule, Kind::Outbound, Kind::Inbound] {
        let (noun, name, comment) = (kind.noun(), quoted(kind.name()), quoted(kind.comment()));
        script.push_str(&format!(
            "$found = Select-Ours (Get-{noun} -ResultSize Unlimited) {name} {comment}\n\
             if ($null -ne $found) {{ Remove-{noun} -Identity \"$($found.Guid)\" -Confirm:$false -WhatIf:$WhatIfPreference }}\n",
        ));
    }
    script.push_str(
        "\n# 3. The certificate domain stays: remove it in the Microsoft 365 admin center if nothing else uses it.\n\
         Write-Output \"Everything is removed but the domain $CertificateDomain.\"\n",
    );
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{GROUP, connection};
    use signet_plugin_sdk::control::Word;

    /// The script without its literals and comments, read as PowerShell reads quotes.
    fn code(script: &str) -> String {
        let (mut code, mut letters) = (String::new(), script.chars().peekable());
        while let Some(letter) = letters.next() {
            match letter {
                '#' if code.ends_with('\n') || code.is_empty() => while letters.next_if(|letter| *letter != '\n').is_some() {},
                '"' => while letters.next().is_some_and(|letter| letter != '"') {},
                letter if QUOTES.contains(&letter) => loop {
                    match letters.next() {
                        Some(letter) if QUOTES.contains(&letter) && letters.next_if(|next| QUOTES.contains(next)).is_none() => break,
                        None => panic!("a literal has no end"),
                        _ => {}
                    }
                },
                letter => code.push(letter),
            }
        }
        code
    }

    #[test]
    fn no_value_leaves_its_literal() {
        let plain: Vec<String> = [Goal::Connect, Goal::Disconnect].iter().map(|goal| code(&write(&connection(), goal).unwrap())).collect();
        for evil in ["'; Remove-Item x #", "\u{2019}; & calc \u{2018}", "$(calc)`n\"", "a\n'@\nb", "\u{201A}\u{201B}'''"] {
            let word = Word { name: evil.to_owned(), value: evil.to_owned() };
            let connection = Connection {
                tenant: evil.to_owned(),
                smart_host: evil.to_owned(),
                certificate_domain: evil.to_owned(),
                processed: word.clone(),
                identification: Some(word),
                ..connection()
            };
            for (goal, plain) in [Goal::Connect, Goal::Disconnect].iter().zip(&plain) {
                assert_eq!(&code(&write(&connection, goal).unwrap()), plain, "{evil:?}");
            }
            let grouped = |id: &str| {
                code(&write(&Connection { routing: Routing::Group(id.to_owned()), ..connection.clone() }, &Goal::Connect).unwrap())
            };
            assert_eq!(grouped(evil), grouped(GROUP));
        }
    }

    #[test]
    fn the_script_does_what_the_steps_do_in_their_order() {
        let script = write(&Connection { routing: Routing::Group(GROUP.to_owned()), ..connection() }, &Goal::Connect).unwrap();
        let places = ["New-InboundConnector", "New-OutboundConnector", "New-TransportRule", "Enable-TransportRule"]
            .map(|word| script.find(word).unwrap());
        assert!(places.is_sorted(), "{places:?}");
        assert!(script.contains("-Enabled $false") && script.contains("FromMemberOf = @(\"$($group[0].PrimarySmtpAddress)\")"), "{script}");
        let script = write(&connection(), &Goal::Disconnect).unwrap();
        let places = ["Disable-TransportRule", "Remove-TransportRule", "Remove-OutboundConnector", "Remove-InboundConnector"];
        assert!(places.map(|word| script.find(word).unwrap()).is_sorted());
        for line in script.lines().filter(|line| ["New-", "Set-", "Remove-", "Disable-", "Enable-"].iter().any(|verb| line.contains(verb)))
        {
            assert!(!line.contains("-Connector") || line.contains("-WhatIf:$WhatIfPreference") || line.starts_with('#'), "{line}");
        }
    }
}
