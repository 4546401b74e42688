//! The stand-in itself: each row of what AWS documents, asked as any application would ask.

use crate::aws::{Double, Version};
use crate::stores::{NEW, TestSlot, World, no, run, value};
use crate::wait;
use crate::world::{Service, client};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use keyroll::ports::{PortError, SecretStore};

const TOKEN: &str = "00000000-0000-4000-8000-000000000001";

fn code<T, E: ProvideErrorMetadata, R>(answer: Result<T, SdkError<E, R>>) -> String {
    match answer {
        Ok(_) => "done".into(),
        Err(error) => error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or("no answer").to_owned(),
    }
}

async fn put(client: &Client, token: &str, value: &str, label: &str) -> String {
    let call = client.put_secret_value().secret_id("s").client_request_token(token).secret_string(value);
    code(call.version_stages(label).send().await)
}

async fn relabel(client: &Client, label: &str, from: Option<&str>, to: Option<&str>) -> String {
    let call = client.update_secret_version_stage().secret_id("s").version_stage(label);
    code(call.set_remove_from_version_id(from.map(str::to_owned)).set_move_to_version_id(to.map(str::to_owned)).send().await)
}

async fn with_a_secret(double: &Double) -> (Client, String) {
    let client = client(double.port);
    client.create_secret().name("s").secret_string("one").send().await.unwrap();
    let first = double.edit("s", |s| s.versions[0].id.clone());
    (client, first)
}

#[test]
fn a_token_is_one_value_for_ever() {
    wait(async {
        let double = Double::start();
        let (client, first) = with_a_secret(&double).await;
        assert_eq!(put(&client, TOKEN, "two", "MINE").await, "done");
        assert_eq!(put(&client, TOKEN, "other", "MINE").await, "ResourceExistsException");
        assert_eq!(put(&client, "short", "two", "MINE").await, "InvalidParameterException");
        assert_eq!(relabel(&client, "AWSCURRENT", Some(&first), Some(TOKEN)).await, "done");
        // The same again, now that it is current: nothing changes, and readers notice nothing.
        assert_eq!(put(&client, TOKEN, "two", "MINE").await, "done");
        assert_eq!(double.edit("s", |s| s.at("AWSCURRENT").map(|v| v.value.clone())).as_deref(), Some("two"));
        assert_eq!(double.edit("s", |s| s.at("AWSPREVIOUS").map(|v| v.id.clone())), Some(first));
    });
}

#[test]
fn a_label_has_one_place_and_a_move_names_the_old_one() {
    wait(async {
        let double = Double::start();
        let (client, first) = with_a_secret(&double).await;
        put(&client, TOKEN, "two", "MINE").await;
        assert_eq!(relabel(&client, "AWSCURRENT", None, Some(TOKEN)).await, "InvalidParameterException");
        assert_eq!(relabel(&client, "AWSCURRENT", Some(TOKEN), Some(TOKEN)).await, "InvalidParameterException");
        assert_eq!(relabel(&client, "AWSCURRENT", Some(&first), None).await, "InvalidParameterException");
        assert_eq!(
            relabel(&client, "AWSCURRENT", Some(&first), Some("no such version, at all, anywhere")).await,
            "ResourceNotFoundException"
        );
        assert_eq!(relabel(&client, "AWSCURRENT", Some(&first), Some(TOKEN)).await, "done");
        assert_eq!(relabel(&client, "AWSCURRENT", Some(&first), Some(TOKEN)).await, "InvalidParameterException");
        assert_eq!(relabel(&client, "MINE", None, Some(&first)).await, "InvalidParameterException");
        assert_eq!(relabel(&client, "MINE", Some(TOKEN), None).await, "done");
        // Without a label it is not listed, and can still be read by its id.
        assert_eq!(relabel(&client, "AWSPREVIOUS", Some(&first), None).await, "done");
        let told = client.describe_secret().secret_id("s").send().await.unwrap();
        assert!(!told.version_ids_to_stages().unwrap().contains_key(&first));
        let read = client.get_secret_value().secret_id("s").version_id(&first);
        assert_eq!(read.clone().send().await.unwrap().secret_string(), Some("one"));
        assert_eq!(code(read.version_stage("AWSCURRENT").send().await), "InvalidRequestException");
    });
}

#[test]
fn sizes_and_counts_have_limits() {
    wait(async {
        let double = Double::start();
        let (client, _) = with_a_secret(&double).await;
        assert_eq!(put(&client, TOKEN, &"x".repeat(65_537), "MINE").await, "InvalidParameterException");
        let labels = (0..21).map(|n| format!("L{n}")).collect();
        let call = client.put_secret_value().secret_id("s").secret_string("x").set_version_stages(Some(labels));
        assert_eq!(code(call.send().await), "InvalidParameterException");
        double.edit("s", |s| {
            let version = |n| Version { id: format!("{n:036}"), value: "x".into(), labels: Vec::new(), made: 0 };
            s.versions.extend((0..99).map(version));
        });
        assert_eq!(put(&client, TOKEN, "x", "MINE").await, "LimitExceededException");
        double.later(25 * 3600);
        assert_eq!(put(&client, TOKEN, "x", "MINE").await, "done");
    });
}

#[test]
fn what_is_being_deleted_takes_no_change() {
    wait(async {
        let double = Double::start();
        let (client, first) = with_a_secret(&double).await;
        assert_eq!(code(client.delete_secret().secret_id("s").recovery_window_in_days(3).send().await), "InvalidParameterException");
        client.delete_secret().secret_id("s").recovery_window_in_days(7).send().await.unwrap();
        assert_eq!(put(&client, TOKEN, "two", "MINE").await, "InvalidRequestException");
        assert_eq!(relabel(&client, "X", None, Some(&first)).await, "InvalidRequestException");
        assert_eq!(code(client.get_secret_value().secret_id("s").send().await), "InvalidRequestException");
        client.restore_secret().secret_id("s").send().await.unwrap();
        assert_eq!(put(&client, TOKEN, "two", "MINE").await, "done");
    });
}

#[test]
fn a_full_secret_is_a_refusal_that_says_what_to_do() {
    wait(async {
        let service = Service::strict(true);
        let slot = service.slot().await;
        let version = |n| Version { id: format!("{n:036}"), value: "{}".into(), labels: Vec::new(), made: 0 };
        service.double.as_ref().unwrap().edit(&slot.name, |s| s.versions.extend((0..99).map(version)));
        let error = no(&service, slot.open().stage(&run("r1"), &value(NEW)).await);
        assert!(matches!(&error, PortError::Refused { why, .. } if why.contains("quota")), "{error:?}");
    });
}
