//! Wrong configurations get one line with file, line, key and what may stand there.

use potstill_train::distill::{Term, Weight};

use super::*;

const GOOD: &str = "[data]\ntrain = ['a.xyz']\n[model]\narchitecture = 'painn'\n";

fn error(text: &str, settings: &[&str]) -> String {
    let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
    let line = format!("{:#}", document::parse::<Config>(Path::new("train.toml"), text, &settings).unwrap_err());
    assert!(!line.contains('\n') && !line.contains("untagged") && !line.contains("did not match"), "{line}");
    line
}

#[test]
fn unknown_keys_get_a_suggestion() {
    let text = format!("{GOOD}cutof = 5.0\n");
    assert_eq!(error(&text, &[]), "train.toml:5: model.cutof: unknown key; did you mean `cutoff`?");
    let text = format!("{GOOD}[training]\nepoch = 5\n");
    assert_eq!(error(&text, &[]), "train.toml:6: training.epoch: unknown key; did you mean `epochs`?");
    for (set, wanted) in [
        ("training.epoks=3", "--set training.epoks=3: unknown key; did you mean `epochs`?"),
        ("modle.cutoff=3", "--set modle.cutoff=3: modle: unknown key; did you mean `model`?"),
        ("epochs=3", "--set epochs=3: unknown key; known are seed, data, model, training, distill"),
        ("training.epochs=many", "--set training.epochs=many: is \"many\"; it must be a whole number, 0 or more"),
        ("training.epochs=-1", "--set training.epochs=-1: is -1; it must be a whole number, 0 or more"),
        (
            "data.mix={ weigth = 1 }",
            "--set data.mix={ weigth = 1 }: data.mix.weigth: unknown key; did you mean `weight`?",
        ),
        (".x=1", "--set .x=1: `.x` is no key; write it as section.name, such as training.epochs=10"),
    ] {
        assert_eq!(error(GOOD, &[set]), wanted);
    }
    // Tables in tables, more than the stack holds.
    let deep = format!("training{}=1", ".a".repeat(100_000));
    assert!(error(GOOD, &[&deep]).contains("a key of 100001 parts is none; sections are nested 16 deep at most"));
}

#[test]
fn bad_values_get_the_choices() {
    let distill = "[distill]\nteacher = 't'\n[[distill.terms]]\nstrategy = 'vanilla'\n[[distill.terms]]\n";
    let copies = "[distill]\nteacher = 't'\nterms = []\n[distill.augmentation]\n";
    for (more, wanted) in [
        (
            "[training]\nschedule = { kind = 'cosin' }",
            "6: training.schedule.kind: is \"cosin\"; it must be `constant`, \
          `warmup_exponential`, `milestones`, `plateau` or `cosine`; did you mean `cosine`?",
        ),
        (
            "[training]\nschedule = { warmup_steps = 5 }",
            "6: training.schedule: needs `kind`, which is `constant`, \
          `warmup_exponential`, `milestones`, `plateau` or `cosine`",
        ),
        (
            "[training]\nschedule = { kind = 'cosine', warmup = 5 }",
            "6: training.schedule.warmup: unknown key; known are \
          warmup_steps, total_steps, final_factor",
        ),
        (
            "[training]\nschedule = { kind = 'milestones', gamma = 'x' }",
            "6: training.schedule.gamma: is \"x\"; it must be \
          a number",
        ),
        ("[training]\nschedule = { kind = 'milestones', gamma = 0.1 }", "6: training.schedule: needs `milestones`"),
        (
            "[training]\nenergy_loss = 'hubber'",
            "6: training.energy_loss: is \"hubber\"; it must be `mae`, `mse` or \
          `huber`; did you mean `huber`?",
        ),
        (
            "[training]\nenergy_loss = 'huber'",
            "6: training.energy_loss: is \"huber\"; it must be a table, as \
          { huber = { } }",
        ),
        (
            "[training]\nenergy_loss = { huber = { delta = 0 } }",
            "6: training.energy_loss.huber.delta: delta is 0; it must \
          be positive",
        ),
        ("[training]\nforce_loss = 5", "6: training.force_loss: is 5; it must be text in quotes, or a table"),
        (
            "[training]\nbest_by = 'energy'",
            "6: training.best_by: is \"energy\"; it must be `loss`, `energy_mae` or \
          `forces_mae`",
        ),
        ("[training]\nsimilar_sizes = 1", "6: training.similar_sizes: is 1; it must be true or false"),
        ("[training]\nlearning_rate = '1e-3'", "6: training.learning_rate: is \"1e-3\"; it must be a number"),
        ("[training.optimizer]\nbeta = 1", "6: training.optimizer.beta: unknown key; did you mean `betas`?"),
        ("[data.mix]\nlabels = 'no'", "6: data.mix.labels: is \"no\"; it must be true or false"),
        (distill, "9: distill.terms.1: needs `strategy`, which is `vanilla`, `atomic_energy`, "),
    ] {
        let found = error(&format!("{GOOD}{more}\n"), &[]);
        assert!(found.starts_with(&format!("train.toml:{wanted}")), "{more}: {found}");
    }
    for (term, wanted) in [
        ("strategy = 'n2m'", "strategy: is \"n2m\"; it must be `vanilla`, "),
        ("strategy = 'n2n'", ": needs `weight`"),
        ("strategy = 'n2n'\nweight = 'much'", "weight: is \"much\"; it must be a number, \"auto\" or { auto = 0.3 }"),
        ("strategy = 'n2n'\nweight = { auto = 'x' }", "weight: is { auto = \"x\" }; it must be a number, \"auto\" or "),
        (
            "strategy = 'n2n'\nweight = 1\nteacher_tap = 5",
            "teacher_tap: is 5; it must be a tap such as \"U4\", or a list",
        ),
        ("strategy = 'n2n'\nweight = 1\nloss = 'rmse'", "loss: is \"rmse\"; it must be `mse`, `mae` or `huber`"),
        ("strategy = 'n2n'\nweight = 1\nprojection = 'x'", "projection: is \"x\"; it must be `"),
        ("strategy = 'n2n'\nweight = 1\nschedule = { kind = 'x' }", "schedule.kind: is \"x\"; it must be `constant`, "),
        ("strategy = 'n2n'\nweight = 1\nschedule = { kind = 'ramp' }", "schedule: needs `until`"),
    ] {
        let found = error(&format!("{GOOD}{distill}{term}\n"), &[]);
        assert!(found.contains(": distill.terms.1") && found.contains(wanted), "{term}: {found}");
    }
    for (more, wanted) in [
        (
            "copies = { kind = 'jitter' }\nterms = []",
            "copies.kind: is \"jitter\"; it must be `random_jitter` or `adversarial`",
        ),
        ("copies = { kind = 'random_jitter', mode = 'x' }\nterms = []", "copies.mode: is \"x\"; it must be `free`, "),
        ("copies = { kind = 'random_jitter', sdt = 1 }\nterms = []", "copies.sdt: unknown key; did you mean `std`?"),
        (
            "copies = { kind = 'adversarial', rule = { kind = 'x' } }\nterms = []",
            "copies.rule.kind: is \"x\"; it must be `adam`, ",
        ),
        (
            "copies = { kind = 'adversarial', rule = { kind = 'across_force', step = 1 } }\nterms = []",
            "copies.rule.step: is 1; it must be ",
        ),
    ] {
        let found = error(&format!("{GOOD}{copies}{more}\n"), &[]);
        assert!(found.contains(&format!("distill.augmentation.{wanted}")), "{more}: {found}");
    }
    for (from, to, wanted) in [
        (
            "'painn'",
            "'pain'",
            "4: model.architecture: is \"pain\"; it must be `schnet`, `painn` or `gemnet_oc`; did you mean `painn`?",
        ),
        ("architecture", "architectur", "3: model: needs `architecture`, which is `schnet`, `painn` or `gemnet_oc`"),
        (
            "'painn'",
            "'gemnet_oc'\nscale_factors = 'one'",
            "5: model.scale_factors: is \"one\"; it must be \"fit\", \"unit\" or a table",
        ),
        ("'painn'", "'painn'\nn_layers = 2.5", "5: model.n_layers: is 2.5; it must be a whole number"),
        ("['a.xyz']", "'a.xyz'", "2: data.train: is \"a.xyz\"; it must be a list"),
        ("['a.xyz']", "['a.xyz', 5]", "2: data.train.1: is 5; it must be text in quotes"),
        ("train", "trian", "2: data.trian: unknown key; did you mean `train`?"),
        (
            "['a.xyz']",
            "['a.xyz']\nnormalization = 'force'",
            "3: data.normalization: is \"force\"; it must be \"none\", \"energy\", \"forces\" or a table; did you mean \"forces\"?",
        ),
        (
            "['a.xyz']",
            "['a.xyz']\nreference_energies = 'mean'",
            "3: data.reference_energies: is \"mean\"; it must be \"none\", \"isolated_atoms\", \"least_squares\" or a table",
        ),
        (
            "['a.xyz']",
            "['a.xyz']\nreference_energies = { Hx = 1 }",
            "3: data.reference_energies.Hx: unknown element `Hx`",
        ),
        ("['a.xyz']", "['a.xyz'", "3: "),
    ] {
        let found = error(&GOOD.replace(from, to), &[]);
        assert!(found.starts_with(&format!("train.toml:{wanted}")), "{to}: {found}");
    }
}

#[test]
fn settings_reach_sections_and_entries() {
    let text = format!("{GOOD}[distill]\nteacher = 't'\n[[distill.terms]]\nstrategy = 'n2n'\nweight = 1.0\n");
    let settings = ["distill.terms.0.weight=5.0", "training.epochs=3", "data.energy_key=E"];
    let config: Config = document::parse(Path::new("x"), &text, &settings.map(str::to_owned)).unwrap();
    assert_eq!(config.training.epochs, 3);
    assert_eq!(config.data.energy_key.as_deref(), Some("E"));
    let distill = config.distill.unwrap();
    assert!(matches!(&distill.terms[0], Term::NodeToNode(term) if term.0.weight == Weight::Fixed(5.0)));
    assert!(error(GOOD, &["seed=1", "seed.x=3"]).contains("`seed` is not a section"));
    assert!(error(GOOD, &["epochs"]).contains("expected KEY=VALUE"));
}
