use super::*;

const ACCOUNT: &str = "clusterName: shop
subnets:
- {id: subnet-4, availabilityZone: us-east-1a, scheme: internal, name: private}
- {id: subnet-2, availabilityZone: us-east-1b, scheme: internal, name: private, ipv6CidrBlock: '2001:db8::/64'}
- {id: subnet-1, availabilityZone: us-east-1a, scheme: internal, name: other, ipv6CidrBlock: '2001:db8:0:1::/64'}
- {id: subnet-3, availabilityZone: us-east-1c, scheme: internet-facing, name: public}
";

fn context(environment: &str) -> Context {
    let (context, found) = Context::parse(environment, "environment.yaml");
    assert_eq!(found, []);
    context
}

const ALB: Request<'_> = Request {
    kind: Kind::Application,
    scheme: "internal",
    dualstack: false,
};
const DUALSTACK: Request<'_> = Request {
    dualstack: true,
    ..ALB
};
const NLB: Request<'_> = Request {
    kind: Kind::Network,
    ..ALB
};

fn ids(
    environment: &str,
    request: Request<'_>,
    selection: Selection<'_>,
) -> Result<String, (&'static str, String)> {
    let resolved = chosen(&context(environment), request, selection);
    let resolved = resolved.map_err(|finding| (finding.code, finding.message))?;
    let ids: Vec<String> = resolved.found.into_iter().map(|one| one.id).collect();
    Ok(ids.join(" "))
}

fn names(names: &str) -> Vec<String> {
    names.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn named_subnets_keep_their_order() {
    for (wanted, ids_of) in [
        ("private subnet-1", "subnet-2 subnet-1"),
        ("subnet-1 private", "subnet-1 subnet-2"),
        ("public subnet-4 subnet-2", "subnet-3 subnet-4 subnet-2"),
        // Two subnets have this name: by id.
        ("private public private", "subnet-2 subnet-3 subnet-4"),
    ] {
        let wanted = names(wanted);
        let found = ids(ACCOUNT, ALB, Selection::Named(&wanted));
        assert_eq!(found, Ok(ids_of.to_owned()), "{wanted:?}");
    }
}

/// `DescribeSubnets` with ids: the account's order.
#[test]
fn ids_of_a_class_are_in_the_order_of_the_account() {
    let wanted = names("subnet-3 subnet-2 subnet-4");
    let found = ids(ACCOUNT, ALB, Selection::Ids(&wanted));
    assert_eq!(found, Ok("subnet-4 subnet-2 subnet-3".to_owned()));
}

#[test]
fn named_subnets_are_checked() {
    for (wanted, request, code, message) in [
        (
            "subnet-9 subnet-2",
            ALB,
            "unknown-subnet",
            "there is no subnet subnet-9",
        ),
        (
            "nosuch subnet-2",
            ALB,
            "unknown-subnet",
            "there is no subnet nosuch",
        ),
        (
            "subnet-2 subnet-2",
            ALB,
            "unknown-subnet",
            "the subnet subnet-2 is named twice",
        ),
        (
            "public public",
            ALB,
            "unknown-subnet",
            "public is named 2 times, and the account has 1 such subnets",
        ),
        (
            "subnet-1 subnet-4",
            NLB,
            "subnets-share-a-zone",
            "two of the subnets are in the same zone us-east-1a: subnet-1 and subnet-4",
        ),
        (
            "subnet-2",
            ALB,
            "too-few-subnets",
            "an ALB needs subnets in at least 2 zones, found 1",
        ),
        (
            "",
            NLB,
            "no-subnet",
            "unable to resolve at least one subnet: the list is empty",
        ),
        (
            "subnet-4 subnet-2 subnet-3",
            DUALSTACK,
            "subnet-without-ipv6",
            "the subnets subnet-4, subnet-3 do not have an associated IPv6 CIDR block, which a dualstack load balancer needs",
        ),
    ] {
        let wanted = names(wanted);
        let found = ids(ACCOUNT, request, Selection::Named(&wanted));
        assert_eq!(found, Err((code, message.to_owned())), "{wanted:?}");
    }
    let one = names("subnet-2");
    assert_eq!(
        ids(ACCOUNT, NLB, Selection::Named(&one)),
        Ok("subnet-2".to_owned())
    );
}

#[test]
fn discovery_takes_the_first_eligible_subnet_of_each_zone() {
    let discover = |environment: &str, request| ids(environment, request, Selection::Discovered);
    assert_eq!(discover(ACCOUNT, ALB), Ok("subnet-1 subnet-2".to_owned()));
    let full = ACCOUNT.replace("name: other", "name: other, availableIpAddressCount: 7");
    assert_eq!(discover(&full, ALB), Ok("subnet-2 subnet-4".to_owned()));
    let own = ACCOUNT.replace(
        "scheme: internal, name: private}",
        "scheme: internal, tags: {kubernetes.io/cluster/shop: shared}}",
    );
    assert_eq!(discover(&own, ALB), Ok("subnet-2 subnet-4".to_owned()));
    let foreign = ACCOUNT.replace("name: other", "tags: {kubernetes.io/cluster/a: owned}");
    assert_eq!(discover(&foreign, ALB), Ok("subnet-2 subnet-4".to_owned()));
    let unchecked = format!("featureGates: {{SubnetsClusterTagCheck: false}}\n{foreign}");
    assert_eq!(
        discover(&unchecked, ALB),
        Ok("subnet-1 subnet-2".to_owned())
    );
    let without = ACCOUNT.replace(", ipv6CidrBlock: '2001:db8:0:1::/64'", "");
    assert_eq!(
        discover(&without, DUALSTACK).unwrap_err().0,
        "too-few-subnets"
    );
    let one = Request {
        kind: Kind::Network,
        ..DUALSTACK
    };
    assert_eq!(discover(&without, one), Ok("subnet-2".to_owned()));
}

#[test]
fn role_tags_come_before_the_scheme() {
    let tagged = ACCOUNT.replace(
        "scheme: internet-facing, name: public",
        "scheme: internet-facing, tags: {kubernetes.io/role/internal-elb: '1'}",
    );
    let found = ids(&tagged, NLB, Selection::Discovered);
    assert_eq!(found, Ok("subnet-3".to_owned()));
    // No subnet is tagged for the other scheme, so the public ones are.
    let public = Request {
        scheme: "internet-facing",
        ..NLB
    };
    let found = ids(&tagged, public, Selection::Discovered);
    assert_eq!(found, Ok("subnet-3".to_owned()));
    let never = format!("featureGates: {{SubnetDiscoveryByReachability: false}}\n{tagged}");
    assert_eq!(
        ids(&never, public, Selection::Discovered).unwrap_err().0,
        "no-subnet"
    );
}

#[test]
fn an_empty_discovery_says_why() {
    let environment = "subnets:
- {id: subnet-1, availabilityZone: a, scheme: internal, availableIpAddressCount: 3}
- {id: subnet-2, availabilityZone: b, scheme: internal, tags: {kubernetes.io/cluster/x: owned}}
- {id: subnet-3, availabilityZone: c, scheme: internal}
";
    let (code, message) = ids(environment, DUALSTACK, Selection::Discovered).unwrap_err();
    assert_eq!(code, "no-subnet");
    assert!(
        message.ends_with(
            "of 3 subnets, 1 belong to other clusters, 1 have fewer than 8 free addresses, and 1 have no IPv6 range, \
             which dualstack needs"
        ),
        "{message}"
    );
}

#[test]
fn one_subnet_is_enough_outside_the_zones_of_the_region() {
    let environment = "subnets:
- {id: subnet-1, availabilityZone: us-east-1a, outpostArn: 'arn:aws:outposts:us-east-1:1:outpost/op-1'}
- {id: subnet-2, availabilityZone: us-west-2-lax-1a, zoneType: local-zone}
- {id: subnet-3, availabilityZone: us-east-1b}
";
    for alone in ["subnet-1", "subnet-2"] {
        let found = ids(environment, ALB, Selection::Named(&names(alone)));
        assert_eq!(found, Ok(alone.to_owned()));
    }
    let found = ids(
        environment,
        ALB,
        Selection::Named(&names("subnet-3 subnet-2")),
    );
    let message = "subnets in multiple locales: availability-zone, local-zone";
    assert_eq!(found, Err(("mixed-subnets", message.to_owned())));
}

#[test]
fn tags_of_a_class_select_subnets() {
    let tags = |key: &str, values: &[&str]| {
        let values = values.iter().map(ToString::to_string).collect();
        BTreeMap::from([(key.to_owned(), values)])
    };
    let private = tags("Name", &["private"]);
    let found = ids(ACCOUNT, ALB, Selection::Tagged(&private));
    assert_eq!(found, Ok("subnet-2 subnet-4".to_owned()));
    let none = tags("tier", &["private"]);
    let found = ids(ACCOUNT, ALB, Selection::Tagged(&none));
    assert_eq!(found.unwrap_err().0, "no-subnet");
    let resolved = chosen(&Context::default(), ALB, Selection::Tagged(&none)).unwrap();
    let of_scheme: Vec<&str> = resolved.found.iter().map(|one| &*one.id).collect();
    assert_eq!(
        of_scheme,
        ["subnet-private-a", "subnet-private-b", "subnet-private-c"]
    );
    assert_eq!(resolved.stand_ins.len(), 1);
}

#[test]
fn unknown_subnets_stand_in_when_nobody_described_the_account() {
    let wanted = names("subnet-0123 private-a shop-2b");
    let resolved = chosen(&Context::default(), DUALSTACK, Selection::Named(&wanted)).unwrap();
    let places: Vec<(&str, &str)> = resolved
        .found
        .iter()
        .map(|one| (&*one.id, &*one.availability_zone))
        .collect();
    assert_eq!(
        places,
        [
            ("subnet-0123", "us-east-1b"),
            ("subnet-private-a", "us-east-1a"),
            ("shop-2b", "us-east-1c")
        ]
    );
    let told: Vec<&str> = resolved.stand_ins.iter().map(|one| &*one.name).collect();
    assert_eq!(told, ["subnet-0123", "shop-2b"]);
    // The plan has only the ids; the zones are the same.
    let again = placed(
        &Context::default(),
        resolved.found.iter().map(|one| &*one.id),
    );
    assert_eq!(again, resolved.found);
}
