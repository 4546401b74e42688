//! Policies as files: the good ones are clean and match the published schema, each bad one gives its own code and a
//! message that helps, and nothing ever repeats a secret.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use keyroll::policy::{self, Code, Overlay, Parsed, Policy, Source, missing_blocks, parse, parse_rows, render, skeleton};

fn folder(name: &str) -> PathBuf {
    // Relative on purpose: the path is shown in messages, and snapshots must be the same on every machine.
    Path::new("tests/policies").join(name)
}

fn files(name: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

fn lint(path: &Path) -> Parsed {
    match Source::read(path) {
        Ok(source) => parse(&source, &Overlay::none()),
        Err(problem) => Parsed {
            policy: None,
            each: Vec::new(),
            for_each: None,
            diagnostics: vec![problem.diagnostic()],
            positions: Default::default(),
            sources: Vec::new(),
        },
    }
}

fn source(text: &str) -> Source {
    Source::from_bytes("policy.yaml", text.as_bytes().to_vec()).unwrap()
}

fn good(name: &str) -> Policy {
    let parsed = lint(&folder("good").join(name));
    assert!(!parsed.has_errors(), "{name}: {}", shown(&parsed));
    parsed.policy.unwrap()
}

fn shown(parsed: &Parsed) -> String {
    render::text(&parsed.diagnostics, &parsed.sources, false)
}

#[test]
fn good_policies_have_no_problems() {
    for path in files("good") {
        let parsed = lint(&path);
        let warnings_wanted = path.ends_with("statistics.yaml");
        assert!(!parsed.has_errors(), "{}", shown(&parsed));
        assert_eq!(parsed.diagnostics.is_empty(), !warnings_wanted, "{}", shown(&parsed));
        assert!(parsed.policy.is_some() || !parsed.each.is_empty());
    }
}

#[test]
fn good_policies_match_the_published_schema() {
    let schema = policy::schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for path in files("good") {
        let text = fs::read_to_string(&path).unwrap();
        if text.contains("for_each") {
            continue; // Placeholders are filled in before anything is judged.
        }
        let instance: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        let problems: Vec<String> = validator.iter_errors(&instance).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "{}: {problems:?}", path.display());
    }
}

#[test]
fn a_typed_policy_survives_serialising() {
    for path in files("good") {
        if let Some(policy) = lint(&path).policy {
            let text = serde_json::to_string(&policy).unwrap();
            let again: Policy = serde_json::from_str(&text).unwrap();
            assert_eq!(again, policy, "{}", path.display());
        }
    }
}

#[test]
fn bad_policies_give_their_own_code_first() {
    let mut codes = BTreeSet::new();
    let paths = files("bad");
    assert!(paths.len() >= 30);
    for path in paths {
        let bytes = fs::read(&path).unwrap();
        let first = String::from_utf8_lossy(&bytes).lines().next().unwrap().to_owned();
        let wanted = first.strip_prefix("# expect: ").unwrap().to_owned();
        let parsed = lint(&path);
        let text = shown(&parsed);
        let problem = parsed.diagnostics.first().unwrap_or_else(|| panic!("{}: clean", path.display()));
        assert_eq!(problem.code.text(), wanted, "{}\n{text}", path.display());
        assert!(parsed.policy.is_none() && parsed.has_errors(), "{}", path.display());
        assert!(problem.message.len() > 15 && problem.help.len() > 10, "{}", path.display());
        assert!(problem.span.line > 0, "{}: no line", path.display());
        assert!(codes.insert(wanted), "{}: the code has a file already", path.display());
        // One mistake, one problem: what follows from it must not bury it.
        assert!(parsed.diagnostics.len() <= 2, "{}\n{text}", path.display());
    }
}

#[test]
fn no_rendering_repeats_a_planted_secret() {
    for path in files("bad") {
        let parsed = lint(&path);
        let all = [
            shown(&parsed),
            render::text(&parsed.diagnostics, &parsed.sources, true),
            render::json(&parsed.diagnostics, &parsed.sources).to_string(),
            render::sarif(&parsed.diagnostics, &parsed.sources).to_string(),
            format!("{:?}", parsed.diagnostics),
            format!("{:?}", parsed.sources),
        ];
        for text in all {
            assert!(!text.contains("PLANTED"), "{}\n{text}", path.display());
        }
    }
}

#[test]
fn secrets_in_odd_places_are_hidden_too() {
    let secret = "PLANTED-not-like-a-key";
    let key = "sk-PLANTED0123456789abcdef";
    let base = "rotation: { credential: k, owner: o, environment: test }\n";
    for text in [
        format!("{base}password: {secret}\n"),
        format!("{base}gateway: {{ litellm: {{ url: 'https://x', admin: {{ envv: {secret} }} }} }}\n"),
        format!("{base}gateway: {{ litellm: {{ url: 'https://x', admin: [{secret}] }} }}\n"),
        format!("{base}gateway: {{ litellm: {{ url: 'https://x', key: {secret} }} }}\n"),
        format!("{base}gateway: {{ aisix: {{ api_token: {secret}, uri: x, ticket: }} }}\nnope: 1\n"),
        format!("{base}gateway: {{ litellm: {{ admin: {secret}, url: [ }} }}\n"),
        format!("{base}gateway:\n  litellm:\n    admin: |\n      {secret}\n\tx\n"),
        format!("{base}gateway:\n  litellm: {{ admin: {{ env: A }}, admin: {secret} }}\n"),
        format!("{base}{key}: 1\n"),
        format!("{base}on_fail: {key}\n"),
        format!("{base}on_fail: stopp # {key}\n"),
        format!("{base}by: {{ {key}: hand }}\n"),
        format!("{base}{key}\n"),
        format!("{secret}\n"),
        format!("{base}evidence_out: {{ sign: {{ key: {secret} }} }}\n"),
        format!("{base}notify: [{{ webhook: {{ url: 'https://hooks.example/{secret}' }} }}]\n"),
        format!("{base}use: {key}.yaml\n"),
    ] {
        let parsed = parse(&source(&text), &Overlay::none());
        assert!(parsed.has_errors(), "{text}");
        let all = shown(&parsed)
            + &render::json(&parsed.diagnostics, &parsed.sources).to_string()
            + &render::sarif(&parsed.diagnostics, &parsed.sources).to_string();
        assert!(!all.contains("PLANTED"), "{text}\n{all}");
    }
}

#[test]
fn all_problems_show_at_once() {
    let parsed = lint(&folder("many.yaml"));
    let codes: Vec<&str> = parsed.diagnostics.iter().map(|problem| problem.code.text()).collect();
    assert_eq!(codes, ["KR020", "KR009", "KR048", "KR041", "KR031", "KR021", "KR040", "KR024"]);
}

#[test]
fn text_for_people_looks_like_this() {
    let bad = folder("bad");
    insta::assert_snapshot!("unknown_field", shown(&lint(&bad.join("12-unknown-field.yaml"))));
    insta::assert_snapshot!("duplicate_key", shown(&lint(&bad.join("07-duplicate-key.yaml"))));
    insta::assert_snapshot!("secret_as_text", shown(&lint(&bad.join("23-secret-as-text.yaml"))));
    insta::assert_snapshot!("many", shown(&lint(&folder("many.yaml"))));
}

#[test]
fn programs_get_the_same_problems() {
    let parsed = lint(&folder("bad").join("07-duplicate-key.yaml"));
    let json = render::json(&parsed.diagnostics, &parsed.sources);
    assert_eq!(json["problems"][0]["code"], "KR009");
    assert_eq!(json["problems"][0]["at"]["line"], 6);
    assert_eq!(json["problems"][0]["related"][0]["at"]["line"], 4);
    let sarif = render::sarif(&parsed.diagnostics, &parsed.sources);
    assert_eq!(sarif["version"], "2.1.0");
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "KR009");
    assert_eq!(result["locations"][0]["physicalLocation"]["region"]["startLine"], 6);
    assert_eq!(sarif["runs"][0]["tool"]["driver"]["rules"][0]["id"], "KR009");
}

#[test]
fn the_published_template_is_valid_and_can_be_completed() {
    let template = good("template.yaml");
    let names: Vec<&str> = missing_blocks(&template).iter().map(|block| block.name).collect();
    assert_eq!(names, ["gateway", "slots", "consumers", "usage", "probes"]);
    let written = skeleton(&Source::read(folder("good").join("template.yaml")).unwrap()).unwrap();
    let parsed = parse(&source(&written), &Overlay::none());
    assert_eq!(parsed.diagnostics, [], "{written}");
    let full = parsed.policy.unwrap();
    assert_eq!(missing_blocks(&full), []);
    assert_eq!(full.rotation, template.rotation);
}

#[test]
fn a_first_useful_policy_is_short() {
    let text = fs::read_to_string(folder("good").join("twelve-lines.yaml")).unwrap();
    assert!(text.lines().count() <= 12);
    assert_eq!(missing_blocks(&good("twelve-lines.yaml")), []);
}

#[test]
fn examples_of_missing_blocks_are_valid() {
    let bare = good("template.yaml");
    for block in missing_blocks(&bare) {
        let apps = "rotation: { credential: k, owner: o, environment: test }\n";
        let parsed = parse(&source(&format!("{apps}{}", block.example)), &Overlay::none());
        assert_eq!(parsed.diagnostics, [], "{}", block.name);
    }
}

#[test]
fn overlays_change_addresses_and_nothing_else() {
    let full = Source::read(folder("good").join("full.yaml")).unwrap();
    let parsed = parse(&full, &Overlay::env("staging"));
    assert_eq!(parsed.diagnostics, []);
    let staging = parsed.policy.unwrap();
    let production = good("full.yaml");
    assert_eq!(staging.gates, production.gates);
    assert_eq!(staging.approvals, production.approvals);
    assert!(!staging.rotation.environment.is_production());
    assert_eq!(staging.rotation.scope.as_ref().unwrap().apps.len(), 3);
    let policy::model::gateway::Gateway::LiteLlm(gateway) = staging.gateway.unwrap() else { panic!() };
    assert_eq!(gateway.url.as_str(), "https://router.staging.example.com");
    assert!(matches!(gateway.admin, policy::model::reference::Ref::File(_)));

    let unknown = parse(&full, &Overlay::env("stagin"));
    assert_eq!(unknown.diagnostics[0].code, Code::UnknownEnvironment);
    assert!(unknown.diagnostics[0].help.contains("staging") && unknown.policy.is_none());
}

#[test]
fn one_policy_for_many_keys() {
    let path = folder("good").join("for-each.yaml");
    let parsed = lint(&path);
    assert_eq!(parsed.each.len(), 2);
    assert_eq!(parsed.each[1].policy.rotation.owner, "team-data, second floor");
    let text = serde_json::to_string(&parsed.each[0].policy).unwrap();
    assert!(text.contains("deploy ${HOME}/customer-chat"));
    // A row that breaks the policy is a problem of the policy, not a silent gap.
    let row = [("name", "a b"), ("team", "t"), ("every", "24h")];
    let row = row.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let parsed = parse_rows(&Source::read(&path).unwrap(), &Overlay::none(), vec![row]);
    assert_eq!(parsed.diagnostics[0].code, Code::BadName);
    assert!(parsed.each.is_empty());
}

#[test]
fn positions_are_kept_for_later_messages() {
    let parsed = lint(&folder("good").join("twelve-lines.yaml"));
    let place = parsed.position("consumers[1].cadence").unwrap();
    assert!(place.ends_with("twelve-lines.yaml:8:40"), "{place}");
}

#[test]
fn policies_that_we_publish_are_clean() {
    let mut texts = Vec::new();
    for folder in ["runbooks", "examples"] {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                let text = fs::read_to_string(&path).unwrap();
                if text.contains("rotation:") {
                    texts.push((path.clone(), text));
                }
            }
        }
    }
    let readme = fs::read_to_string("README.md").unwrap_or_default();
    for block in readme.split("```yaml\n").skip(1) {
        let text = block.split("```").next().unwrap();
        if text.contains("rotation:") {
            texts.push((PathBuf::from("README.md"), text.to_owned()));
        }
    }
    for (path, text) in texts {
        let parsed = parse(&Source::from_bytes(&path, text.into_bytes()).unwrap(), &Overlay::none());
        assert!(!parsed.has_errors(), "{}", shown(&parsed));
    }
}
