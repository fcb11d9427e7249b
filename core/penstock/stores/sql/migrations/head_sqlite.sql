CREATE TABLE penstock_schema (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT penstock_schema_pkc PRIMARY KEY (version_num)
)
-- next
CREATE TABLE experiments (
	experiment_id INTEGER NOT NULL,
	workspace VARCHAR(250) NOT NULL,
	name VARCHAR(250) NOT NULL,
	lifecycle_stage VARCHAR(20) NOT NULL,
	created_ms BIGINT NOT NULL,
	CONSTRAINT pk_experiments PRIMARY KEY (experiment_id),
	CONSTRAINT uq_experiments_workspace_name UNIQUE (workspace, name)
)
-- next
CREATE TABLE ledger (
	workspace VARCHAR(250) NOT NULL,
	chain_kind VARCHAR(20) NOT NULL,
	chain_name VARCHAR(250) NOT NULL,
	sequence INTEGER NOT NULL,
	kind VARCHAR(40) NOT NULL,
	subject TEXT NOT NULL,
	actor TEXT NOT NULL,
	why TEXT NOT NULL,
	"before" TEXT NOT NULL,
	"after" TEXT NOT NULL,
	time_ms BIGINT NOT NULL,
	previous_hash VARCHAR(64) NOT NULL,
	hash VARCHAR(64) NOT NULL,
	CONSTRAINT pk_ledger PRIMARY KEY (workspace, chain_kind, chain_name, sequence)
)
-- next
CREATE TABLE ledger_heads (
	workspace VARCHAR(250) NOT NULL,
	chain_kind VARCHAR(20) NOT NULL,
	chain_name VARCHAR(250) NOT NULL,
	sequence INTEGER NOT NULL,
	hash VARCHAR(64) NOT NULL,
	CONSTRAINT pk_ledger_heads PRIMARY KEY (workspace, chain_kind, chain_name)
)
-- next
CREATE TABLE registered_models (
	workspace VARCHAR(250) NOT NULL,
	name VARCHAR(250) NOT NULL,
	last_version INTEGER NOT NULL,
	created_ms BIGINT NOT NULL,
	CONSTRAINT pk_registered_models PRIMARY KEY (workspace, name)
)
-- next
CREATE TABLE runs (
	run_id VARCHAR(32) NOT NULL,
	workspace VARCHAR(250) NOT NULL,
	experiment_id INTEGER NOT NULL,
	namespace VARCHAR(250) NOT NULL,
	pipeline VARCHAR(250) NOT NULL,
	partition VARCHAR(250) NOT NULL,
	name VARCHAR(250) NOT NULL,
	status VARCHAR(20) NOT NULL,
	parent_run_id VARCHAR(32),
	logical_date_ms BIGINT,
	started_ms BIGINT NOT NULL,
	ended_ms BIGINT,
	deadline_ms BIGINT,
	reason TEXT NOT NULL,
	lifecycle_stage VARCHAR(20) NOT NULL,
	source TEXT NOT NULL,
	CONSTRAINT pk_runs PRIMARY KEY (run_id),
	CONSTRAINT ck_runs_ended_with_status CHECK ((ended_ms IS NULL) = (status IN ('RUNNING', 'SCHEDULED'))),
	CONSTRAINT fk_runs_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id),
	CONSTRAINT fk_runs_parent_run_id FOREIGN KEY(parent_run_id) REFERENCES runs (run_id),
	CONSTRAINT uq_runs_workspace_namespace_pipeline_partition UNIQUE (workspace, namespace, pipeline, partition)
)
-- next
CREATE INDEX ix_runs_experiment_id ON runs (experiment_id)
-- next
CREATE TABLE steps (
	run_id VARCHAR(32) NOT NULL,
	step VARCHAR(250) NOT NULL,
	map_index INTEGER NOT NULL,
	attempt INTEGER NOT NULL,
	visible_from INTEGER NOT NULL,
	generation INTEGER NOT NULL,
	CONSTRAINT pk_steps PRIMARY KEY (run_id, step, map_index),
	CONSTRAINT fk_steps_run_id FOREIGN KEY(run_id) REFERENCES runs (run_id)
)
-- next
CREATE TABLE tags (
	run_id VARCHAR(32) NOT NULL,
	name VARCHAR(250) NOT NULL,
	value TEXT NOT NULL,
	CONSTRAINT pk_tags PRIMARY KEY (run_id, name),
	CONSTRAINT fk_tags_run_id FOREIGN KEY(run_id) REFERENCES runs (run_id)
)
-- next
CREATE TABLE attempts (
	run_id VARCHAR(32) NOT NULL,
	step VARCHAR(250) NOT NULL,
	map_index INTEGER NOT NULL,
	attempt INTEGER NOT NULL,
	inputs_digest VARCHAR(64) NOT NULL,
	inputs TEXT NOT NULL,
	token VARCHAR(32) NOT NULL,
	state VARCHAR(20) NOT NULL,
	host TEXT NOT NULL,
	error TEXT NOT NULL,
	started_ms BIGINT NOT NULL,
	ended_ms BIGINT,
	lease_expires_ms BIGINT,
	CONSTRAINT pk_attempts PRIMARY KEY (run_id, step, map_index, attempt),
	CONSTRAINT fk_attempts_run_id_step_map_index FOREIGN KEY(run_id, step, map_index) REFERENCES steps (run_id, step, map_index)
)
-- next
CREATE TABLE step_results (
	run_id VARCHAR(32) NOT NULL,
	step VARCHAR(250) NOT NULL,
	map_index INTEGER NOT NULL,
	inputs_digest VARCHAR(64) NOT NULL,
	generation INTEGER NOT NULL,
	attempt INTEGER NOT NULL,
	result TEXT NOT NULL,
	ended_ms BIGINT NOT NULL,
	CONSTRAINT pk_step_results PRIMARY KEY (run_id, step, map_index, inputs_digest),
	CONSTRAINT fk_step_results_run_id_step_map_index FOREIGN KEY(run_id, step, map_index) REFERENCES steps (run_id, step, map_index)
)
-- next
CREATE TABLE inputs (
	run_id VARCHAR(32) NOT NULL,
	step VARCHAR(250) NOT NULL,
	map_index INTEGER NOT NULL,
	attempt INTEGER NOT NULL,
	role VARCHAR(20) NOT NULL,
	name VARCHAR(250) NOT NULL,
	digest VARCHAR(250) NOT NULL,
	rows BIGINT NOT NULL,
	source TEXT NOT NULL,
	columns TEXT NOT NULL,
	CONSTRAINT pk_inputs PRIMARY KEY (run_id, step, map_index, attempt, role, name, digest),
	CONSTRAINT fk_inputs_run_id_step_map_index_attempt FOREIGN KEY(run_id, step, map_index, attempt) REFERENCES attempts (run_id, step, map_index, attempt)
)
-- next
CREATE TABLE logged_models (
	model_id VARCHAR(34) NOT NULL,
	run_id VARCHAR(32) NOT NULL,
	step VARCHAR(250) NOT NULL,
	map_index INTEGER NOT NULL,
	attempt INTEGER NOT NULL,
	name VARCHAR(250) NOT NULL,
	payload_digest VARCHAR(64) NOT NULL,
	manifest_digest VARCHAR(64) NOT NULL,
	flavor VARCHAR(40) NOT NULL,
	size_bytes BIGINT NOT NULL,
	facts TEXT NOT NULL,
	created_ms BIGINT NOT NULL,
	CONSTRAINT pk_logged_models PRIMARY KEY (model_id),
	CONSTRAINT fk_logged_models_run_id_step_map_index_attempt FOREIGN KEY(run_id, step, map_index, attempt) REFERENCES attempts (run_id, step, map_index, attempt),
	CONSTRAINT uq_logged_models_run_id_name_payload_digest UNIQUE (run_id, name, payload_digest)
)
-- next
CREATE TABLE metrics (
	run_id VARCHAR(32) NOT NULL,
	step VARCHAR(250) NOT NULL,
	map_index INTEGER NOT NULL,
	attempt INTEGER NOT NULL,
	name VARCHAR(250) NOT NULL,
	metric_step BIGINT NOT NULL,
	time_ms BIGINT NOT NULL,
	kind VARCHAR(6) NOT NULL,
	value FLOAT NOT NULL,
	model_id VARCHAR(34),
	dataset_name VARCHAR(250),
	dataset_digest VARCHAR(250),
	CONSTRAINT pk_metrics PRIMARY KEY (run_id, step, map_index, attempt, name, metric_step, time_ms, kind, value),
	CONSTRAINT fk_metrics_run_id_step_map_index_attempt FOREIGN KEY(run_id, step, map_index, attempt) REFERENCES attempts (run_id, step, map_index, attempt)
)
-- next
CREATE TABLE params (
	run_id VARCHAR(32) NOT NULL,
	step VARCHAR(250) NOT NULL,
	map_index INTEGER NOT NULL,
	attempt INTEGER NOT NULL,
	name VARCHAR(250) NOT NULL,
	value TEXT NOT NULL,
	CONSTRAINT pk_params PRIMARY KEY (run_id, step, map_index, attempt, name),
	CONSTRAINT fk_params_run_id_step_map_index_attempt FOREIGN KEY(run_id, step, map_index, attempt) REFERENCES attempts (run_id, step, map_index, attempt)
)
-- next
CREATE TABLE run_artifacts (
	run_id VARCHAR(32) NOT NULL,
	step VARCHAR(250) NOT NULL,
	map_index INTEGER NOT NULL,
	attempt INTEGER NOT NULL,
	path VARCHAR(1000) NOT NULL,
	sha256 VARCHAR(64) NOT NULL,
	size_bytes BIGINT NOT NULL,
	CONSTRAINT pk_run_artifacts PRIMARY KEY (run_id, path),
	CONSTRAINT fk_run_artifacts_run_id_step_map_index_attempt FOREIGN KEY(run_id, step, map_index, attempt) REFERENCES attempts (run_id, step, map_index, attempt)
)
-- next
CREATE TABLE evaluations (
	evaluation_id VARCHAR(32) NOT NULL,
	run_id VARCHAR(32) NOT NULL,
	model_id VARCHAR(34) NOT NULL,
	payload_digest VARCHAR(64) NOT NULL,
	dataset_digest VARCHAR(250) NOT NULL,
	document TEXT NOT NULL,
	created_ms BIGINT NOT NULL,
	CONSTRAINT pk_evaluations PRIMARY KEY (evaluation_id),
	CONSTRAINT fk_evaluations_model_id FOREIGN KEY(model_id) REFERENCES logged_models (model_id),
	CONSTRAINT fk_evaluations_run_id FOREIGN KEY(run_id) REFERENCES runs (run_id)
)
-- next
CREATE INDEX ix_evaluations_dataset_digest ON evaluations (dataset_digest)
-- next
CREATE INDEX ix_evaluations_run_id ON evaluations (run_id)
-- next
CREATE TABLE model_files (
	model_id VARCHAR(34) NOT NULL,
	path VARCHAR(1000) NOT NULL,
	sha256 VARCHAR(64) NOT NULL,
	size_bytes BIGINT NOT NULL,
	CONSTRAINT pk_model_files PRIMARY KEY (model_id, path),
	CONSTRAINT fk_model_files_model_id FOREIGN KEY(model_id) REFERENCES logged_models (model_id)
)
-- next
CREATE TABLE decisions (
	decision_id VARCHAR(32) NOT NULL,
	run_id VARCHAR(32) NOT NULL,
	evaluation_id VARCHAR(32) NOT NULL,
	workspace VARCHAR(250) NOT NULL,
	model VARCHAR(250) NOT NULL,
	alias VARCHAR(250) NOT NULL,
	verdict VARCHAR(20) NOT NULL,
	payload_digest VARCHAR(64) NOT NULL,
	policy_digest VARCHAR(64) NOT NULL,
	data_digest VARCHAR(250) NOT NULL,
	baseline_version INTEGER,
	alias_generation INTEGER NOT NULL,
	document TEXT NOT NULL,
	created_ms BIGINT NOT NULL,
	CONSTRAINT pk_decisions PRIMARY KEY (decision_id),
	CONSTRAINT fk_decisions_evaluation_id FOREIGN KEY(evaluation_id) REFERENCES evaluations (evaluation_id),
	CONSTRAINT fk_decisions_run_id FOREIGN KEY(run_id) REFERENCES runs (run_id)
)
-- next
CREATE INDEX ix_decisions_run_id ON decisions (run_id)
-- next
CREATE TABLE authorizations (
	authorization_id VARCHAR(32) NOT NULL,
	workspace VARCHAR(250) NOT NULL,
	kind VARCHAR(20) NOT NULL,
	model VARCHAR(250) NOT NULL,
	decision_id VARCHAR(32),
	reason TEXT NOT NULL,
	actor TEXT NOT NULL,
	created_ms BIGINT NOT NULL,
	CONSTRAINT pk_authorizations PRIMARY KEY (authorization_id),
	CONSTRAINT ck_authorizations_decision_named CHECK ((kind = 'decision') = (decision_id IS NOT NULL)),
	CONSTRAINT fk_authorizations_decision_id FOREIGN KEY(decision_id) REFERENCES decisions (decision_id),
	CONSTRAINT uq_authorizations_decision_id UNIQUE (decision_id)
)
-- next
CREATE TABLE model_versions (
	workspace VARCHAR(250) NOT NULL,
	model VARCHAR(250) NOT NULL,
	version INTEGER NOT NULL,
	model_id VARCHAR(34) NOT NULL,
	run_id VARCHAR(32) NOT NULL,
	payload_digest VARCHAR(64) NOT NULL,
	authorization_id VARCHAR(32) NOT NULL,
	created_ms BIGINT NOT NULL,
	CONSTRAINT pk_model_versions PRIMARY KEY (workspace, model, version),
	CONSTRAINT fk_model_versions_authorization_id FOREIGN KEY(authorization_id) REFERENCES authorizations (authorization_id),
	CONSTRAINT fk_model_versions_model_id FOREIGN KEY(model_id) REFERENCES logged_models (model_id),
	CONSTRAINT fk_model_versions_run_id FOREIGN KEY(run_id) REFERENCES runs (run_id),
	CONSTRAINT fk_model_versions_workspace_model FOREIGN KEY(workspace, model) REFERENCES registered_models (workspace, name),
	CONSTRAINT uq_model_versions_authorization_id UNIQUE (authorization_id)
)
-- next
CREATE INDEX ix_model_versions_run_id ON model_versions (run_id)
-- next
CREATE TABLE alias_moves (
	workspace VARCHAR(250) NOT NULL,
	model VARCHAR(250) NOT NULL,
	alias VARCHAR(250) NOT NULL,
	generation INTEGER NOT NULL,
	from_version INTEGER,
	to_version INTEGER NOT NULL,
	authorization_id VARCHAR(32) NOT NULL,
	moved_ms BIGINT NOT NULL,
	CONSTRAINT pk_alias_moves PRIMARY KEY (workspace, model, alias, generation),
	CONSTRAINT fk_alias_moves_authorization_id FOREIGN KEY(authorization_id) REFERENCES authorizations (authorization_id),
	CONSTRAINT fk_alias_moves_workspace_model_to_version FOREIGN KEY(workspace, model, to_version) REFERENCES model_versions (workspace, model, version),
	CONSTRAINT uq_alias_moves_authorization_id_alias UNIQUE (authorization_id, alias)
)
-- next
CREATE TABLE aliases (
	workspace VARCHAR(250) NOT NULL,
	model VARCHAR(250) NOT NULL,
	alias VARCHAR(250) NOT NULL,
	version INTEGER NOT NULL,
	generation INTEGER NOT NULL,
	authorization_id VARCHAR(32) NOT NULL,
	moved_ms BIGINT NOT NULL,
	CONSTRAINT pk_aliases PRIMARY KEY (workspace, model, alias),
	CONSTRAINT fk_aliases_authorization_id FOREIGN KEY(authorization_id) REFERENCES authorizations (authorization_id),
	CONSTRAINT fk_aliases_workspace_model_version FOREIGN KEY(workspace, model, version) REFERENCES model_versions (workspace, model, version)
)
-- next
CREATE TRIGGER ledger_append_only_update BEFORE UPDATE ON ledger
                BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END
-- next
CREATE TRIGGER ledger_append_only_delete BEFORE DELETE ON ledger
                BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END
-- next
CREATE TRIGGER alias_moves_append_only_update BEFORE UPDATE ON alias_moves
                BEGIN SELECT RAISE(ABORT, 'alias moves are append-only'); END
-- next
CREATE TRIGGER alias_moves_append_only_delete BEFORE DELETE ON alias_moves
                BEGIN SELECT RAISE(ABORT, 'alias moves are append-only'); END
-- next
CREATE TRIGGER aliases_move_on_record_insert BEFORE INSERT ON aliases
            WHEN NOT EXISTS (SELECT 1 FROM alias_moves m WHERE m.workspace = NEW.workspace AND m.model = NEW.model
    AND m.alias = NEW.alias AND m.generation = NEW.generation AND m.to_version = NEW.version
    AND m.authorization_id = NEW.authorization_id) BEGIN SELECT RAISE(ABORT, 'an alias moves only with a recorded, authorized move'); END
-- next
CREATE TRIGGER aliases_move_on_record_update BEFORE UPDATE ON aliases
            WHEN NEW.generation <> OLD.generation + 1 OR NOT EXISTS (SELECT 1 FROM alias_moves m WHERE m.workspace = NEW.workspace AND m.model = NEW.model
    AND m.alias = NEW.alias AND m.generation = NEW.generation AND m.to_version = NEW.version
    AND m.authorization_id = NEW.authorization_id) BEGIN SELECT RAISE(ABORT, 'an alias moves only with a recorded, authorized move'); END
-- next
CREATE TABLE looks (
	workspace VARCHAR(250) NOT NULL,
	model VARCHAR(250) NOT NULL,
	sequence INTEGER NOT NULL,
	kind VARCHAR(20) NOT NULL,
	question VARCHAR(32) NOT NULL,
	number INTEGER NOT NULL,
	set_number INTEGER NOT NULL,
	evaluation_id VARCHAR(32) NOT NULL,
	policy_digest VARCHAR(64) NOT NULL,
	data_digest VARCHAR(250) NOT NULL,
	verdict VARCHAR(20) NOT NULL,
	alpha FLOAT,
	decision_id VARCHAR(32),
	actor TEXT NOT NULL,
	at_ms BIGINT NOT NULL,
	CONSTRAINT pk_looks PRIMARY KEY (workspace, model, sequence),
	CONSTRAINT ck_looks_decision_named CHECK ((kind = 'decision') = (decision_id IS NOT NULL)),
	CONSTRAINT fk_looks_evaluation_id FOREIGN KEY(evaluation_id) REFERENCES evaluations (evaluation_id),
	CONSTRAINT fk_looks_decision_id FOREIGN KEY(decision_id) REFERENCES decisions (decision_id),
	CONSTRAINT uq_looks_decision_id UNIQUE (decision_id)
)
-- next
CREATE TABLE set_looks (
	workspace VARCHAR(250) NOT NULL,
	data_digest VARCHAR(250) NOT NULL,
	number INTEGER NOT NULL,
	question VARCHAR(32) NOT NULL,
	CONSTRAINT pk_set_looks PRIMARY KEY (workspace, data_digest, number),
	CONSTRAINT uq_set_looks_workspace_data_digest_question UNIQUE (workspace, data_digest, question)
)
-- next
CREATE TABLE approval_requests (
	request_id VARCHAR(32) NOT NULL,
	workspace VARCHAR(250) NOT NULL,
	decision_id VARCHAR(32) NOT NULL,
	run_id VARCHAR(32) NOT NULL,
	step VARCHAR(250) NOT NULL,
	map_index INTEGER NOT NULL,
	model VARCHAR(250) NOT NULL,
	alias VARCHAR(250) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	document TEXT NOT NULL,
	asked_ms BIGINT NOT NULL,
	expires_ms BIGINT NOT NULL,
	CONSTRAINT pk_approval_requests PRIMARY KEY (request_id),
	CONSTRAINT fk_approval_requests_decision_id FOREIGN KEY(decision_id) REFERENCES decisions (decision_id),
	CONSTRAINT fk_approval_requests_run_id FOREIGN KEY(run_id) REFERENCES runs (run_id)
)
-- next
CREATE INDEX ix_approval_requests_model ON approval_requests (model)
-- next
CREATE TABLE approval_answers (
	request_id VARCHAR(32) NOT NULL,
	answer VARCHAR(10) NOT NULL,
	reason TEXT NOT NULL,
	actor TEXT NOT NULL,
	answered_ms BIGINT NOT NULL,
	CONSTRAINT pk_approval_answers PRIMARY KEY (request_id),
	CONSTRAINT ck_approval_answers_answer_known CHECK (answer IN ('approve', 'reject')),
	CONSTRAINT fk_approval_answers_request_id FOREIGN KEY(request_id) REFERENCES approval_requests (request_id)
)
-- next
CREATE TABLE overrides (
	authorization_id VARCHAR(32) NOT NULL,
	workspace VARCHAR(250) NOT NULL,
	model VARCHAR(250) NOT NULL,
	payload_digest VARCHAR(64) NOT NULL,
	document TEXT NOT NULL,
	created_ms BIGINT NOT NULL,
	expires_ms BIGINT NOT NULL,
	CONSTRAINT pk_overrides PRIMARY KEY (authorization_id),
	CONSTRAINT fk_overrides_authorization_id FOREIGN KEY(authorization_id) REFERENCES authorizations (authorization_id)
)
-- next
CREATE INDEX ix_overrides_model ON overrides (model)
-- next
CREATE TABLE anchors (
	workspace VARCHAR(250) NOT NULL,
	model VARCHAR(250) NOT NULL,
	sequence INTEGER NOT NULL,
	version INTEGER NOT NULL,
	payload_digest VARCHAR(64) NOT NULL,
	decision_id VARCHAR(32),
	reason TEXT NOT NULL,
	actor TEXT NOT NULL,
	set_ms BIGINT NOT NULL,
	CONSTRAINT pk_anchors PRIMARY KEY (workspace, model, sequence),
	CONSTRAINT fk_anchors_decision_id FOREIGN KEY(decision_id) REFERENCES decisions (decision_id),
	CONSTRAINT fk_anchors_workspace_model_version FOREIGN KEY(workspace, model, version) REFERENCES model_versions (workspace, model, version)
)
-- next
CREATE TRIGGER looks_append_only_update BEFORE UPDATE ON looks
                BEGIN SELECT RAISE(ABORT, 'looks are append-only'); END
-- next
CREATE TRIGGER looks_append_only_delete BEFORE DELETE ON looks
                BEGIN SELECT RAISE(ABORT, 'looks are append-only'); END
-- next
CREATE TRIGGER set_looks_append_only_update BEFORE UPDATE ON set_looks
                BEGIN SELECT RAISE(ABORT, 'looks are append-only'); END
-- next
CREATE TRIGGER set_looks_append_only_delete BEFORE DELETE ON set_looks
                BEGIN SELECT RAISE(ABORT, 'looks are append-only'); END
-- next
CREATE TRIGGER approval_requests_append_only_update BEFORE UPDATE ON approval_requests
                BEGIN SELECT RAISE(ABORT, 'approval requests are append-only'); END
-- next
CREATE TRIGGER approval_requests_append_only_delete BEFORE DELETE ON approval_requests
                BEGIN SELECT RAISE(ABORT, 'approval requests are append-only'); END
-- next
CREATE TRIGGER approval_answers_append_only_update BEFORE UPDATE ON approval_answers
                BEGIN SELECT RAISE(ABORT, 'approval answers are append-only'); END
-- next
CREATE TRIGGER approval_answers_append_only_delete BEFORE DELETE ON approval_answers
                BEGIN SELECT RAISE(ABORT, 'approval answers are append-only'); END
-- next
CREATE TRIGGER overrides_append_only_update BEFORE UPDATE ON overrides
                BEGIN SELECT RAISE(ABORT, 'overrides are append-only'); END
-- next
CREATE TRIGGER overrides_append_only_delete BEFORE DELETE ON overrides
                BEGIN SELECT RAISE(ABORT, 'overrides are append-only'); END
-- next
CREATE TRIGGER anchors_append_only_update BEFORE UPDATE ON anchors
                BEGIN SELECT RAISE(ABORT, 'anchors are append-only'); END
-- next
CREATE TRIGGER anchors_append_only_delete BEFORE DELETE ON anchors
                BEGIN SELECT RAISE(ABORT, 'anchors are append-only'); END
-- next
CREATE TABLE load_checks (
	workspace VARCHAR(250) NOT NULL,
	model VARCHAR(250) NOT NULL,
	version INTEGER NOT NULL,
	number INTEGER NOT NULL,
	passed BOOLEAN NOT NULL,
	error TEXT NOT NULL,
	facts TEXT NOT NULL,
	actor TEXT NOT NULL,
	checked_ms BIGINT NOT NULL,
	CONSTRAINT pk_load_checks PRIMARY KEY (workspace, model, version, number),
	CONSTRAINT fk_load_checks_workspace_model_version FOREIGN KEY(workspace, model, version) REFERENCES model_versions (workspace, model, version)
)
-- next
CREATE TABLE version_states (
	workspace VARCHAR(250) NOT NULL,
	model VARCHAR(250) NOT NULL,
	version INTEGER NOT NULL,
	state VARCHAR(20) NOT NULL,
	reason TEXT NOT NULL,
	actor TEXT NOT NULL,
	changed_ms BIGINT NOT NULL,
	CONSTRAINT pk_version_states PRIMARY KEY (workspace, model, version),
	CONSTRAINT fk_version_states_workspace_model_version FOREIGN KEY(workspace, model, version) REFERENCES model_versions (workspace, model, version),
	CONSTRAINT ck_version_states_known_state CHECK (state IN ('active', 'archived', 'deleted'))
)
-- next
CREATE TABLE alias_protections (
	workspace VARCHAR(250) NOT NULL,
	model VARCHAR(250) NOT NULL,
	alias VARCHAR(250) NOT NULL,
	number INTEGER NOT NULL,
	actors TEXT NOT NULL,
	lifted BOOLEAN NOT NULL,
	reason TEXT NOT NULL,
	actor TEXT NOT NULL,
	set_ms BIGINT NOT NULL,
	CONSTRAINT pk_alias_protections PRIMARY KEY (workspace, model, alias, number)
)
-- next
CREATE TABLE registry_notes (
	workspace VARCHAR(250) NOT NULL,
	model VARCHAR(250) NOT NULL,
	version INTEGER NOT NULL,
	name VARCHAR(250) NOT NULL,
	text TEXT NOT NULL,
	actor TEXT NOT NULL,
	written_ms BIGINT NOT NULL,
	CONSTRAINT pk_registry_notes PRIMARY KEY (workspace, model, version, name),
	CONSTRAINT fk_registry_notes_workspace_model FOREIGN KEY(workspace, model) REFERENCES registered_models (workspace, name)
)
-- next
CREATE TABLE deleted_models (
	model_id VARCHAR(34) NOT NULL,
	reason TEXT NOT NULL,
	actor TEXT NOT NULL,
	deleted_ms BIGINT NOT NULL,
	CONSTRAINT pk_deleted_models PRIMARY KEY (model_id),
	CONSTRAINT fk_deleted_models_model_id FOREIGN KEY(model_id) REFERENCES logged_models (model_id)
)
-- next
ALTER TABLE alias_moves ADD COLUMN actor TEXT
-- next
CREATE INDEX ix_alias_moves_workspace_model_alias_moved_ms ON alias_moves (workspace, model, alias, moved_ms)
-- next
CREATE INDEX ix_inputs_digest ON inputs (digest)
-- next
CREATE INDEX ix_evaluations_model_id ON evaluations (model_id)
-- next
CREATE TRIGGER model_versions_append_only_update BEFORE UPDATE ON model_versions
                BEGIN SELECT RAISE(ABORT, 'versions are immutable'); END
-- next
CREATE TRIGGER model_versions_append_only_delete BEFORE DELETE ON model_versions
                BEGIN SELECT RAISE(ABORT, 'versions are immutable'); END
-- next
CREATE TRIGGER load_checks_append_only_update BEFORE UPDATE ON load_checks
                BEGIN SELECT RAISE(ABORT, 'load checks are append-only'); END
-- next
CREATE TRIGGER load_checks_append_only_delete BEFORE DELETE ON load_checks
                BEGIN SELECT RAISE(ABORT, 'load checks are append-only'); END
-- next
CREATE TRIGGER alias_protections_append_only_update BEFORE UPDATE ON alias_protections
                BEGIN SELECT RAISE(ABORT, 'changes of protection are append-only'); END
-- next
CREATE TRIGGER alias_protections_append_only_delete BEFORE DELETE ON alias_protections
                BEGIN SELECT RAISE(ABORT, 'changes of protection are append-only'); END
-- next
CREATE TRIGGER alias_moves_referred_to_0 BEFORE INSERT ON alias_moves
            WHEN EXISTS (SELECT 1 FROM version_states s WHERE s.state <> 'active'
            AND s.workspace = NEW.workspace AND s.model = NEW.model AND s.version = NEW.to_version) BEGIN SELECT RAISE(ABORT, 'an archived or deleted version gets no alias'); END
-- next
CREATE TRIGGER alias_moves_referred_to_1 BEFORE INSERT ON alias_moves
            WHEN NOT EXISTS (SELECT 1 FROM load_checks c WHERE c.passed
            AND c.workspace = NEW.workspace AND c.model = NEW.model AND c.version = NEW.to_version)
        AND NOT EXISTS (SELECT 1 FROM alias_moves m WHERE m.workspace = NEW.workspace AND m.model = NEW.model
            AND m.alias = NEW.alias AND m.to_version = NEW.to_version) BEGIN SELECT RAISE(ABORT, 'an alias is given only to a version that was seen to load'); END
-- next
CREATE TRIGGER version_states_referred_to_2 BEFORE INSERT ON version_states
            WHEN NEW.state <> 'active' AND EXISTS (SELECT 1 FROM aliases a
    WHERE a.workspace = NEW.workspace AND a.model = NEW.model AND a.version = NEW.version) BEGIN SELECT RAISE(ABORT, 'an alias points to this version'); END
-- next
CREATE TRIGGER version_states_referred_to_3 BEFORE UPDATE ON version_states
            WHEN NEW.state <> 'active' AND EXISTS (SELECT 1 FROM aliases a
    WHERE a.workspace = NEW.workspace AND a.model = NEW.model AND a.version = NEW.version) BEGIN SELECT RAISE(ABORT, 'an alias points to this version'); END
-- next
CREATE TRIGGER deleted_models_referred_to_4 BEFORE INSERT ON deleted_models
            WHEN EXISTS (SELECT 1 FROM model_versions v
            JOIN logged_models l ON l.run_id = v.run_id AND l.model_id = v.model_id WHERE l.model_id = NEW.model_id)
        OR EXISTS (SELECT 1 FROM evaluations e JOIN decisions d ON d.run_id = e.run_id
            AND d.evaluation_id = e.evaluation_id WHERE e.model_id = NEW.model_id) BEGIN SELECT RAISE(ABORT, 'a version or a decision refers to this model'); END
-- next
CREATE TRIGGER runs_referred_to_5 BEFORE UPDATE ON runs
            WHEN NEW.lifecycle_stage = 'deleted' AND OLD.lifecycle_stage <> 'deleted'
        AND (EXISTS (SELECT 1 FROM model_versions v WHERE v.run_id = NEW.run_id)
            OR EXISTS (SELECT 1 FROM decisions d WHERE d.run_id = NEW.run_id)) BEGIN SELECT RAISE(ABORT, 'a version or a decision refers to this run'); END
-- next
CREATE TABLE event_cursors (
	workspace VARCHAR(250) NOT NULL,
	name VARCHAR(250) NOT NULL,
	cursor TEXT NOT NULL,
	saved_ms BIGINT NOT NULL,
	CONSTRAINT pk_event_cursors PRIMARY KEY (workspace, name)
)
-- next
CREATE TABLE webhooks (
	workspace VARCHAR(250) NOT NULL,
	name VARCHAR(250) NOT NULL,
	target TEXT NOT NULL,
	secret_variable VARCHAR(250) NOT NULL,
	kinds TEXT NOT NULL,
	chains TEXT NOT NULL,
	created_by TEXT NOT NULL,
	created_ms BIGINT NOT NULL,
	claim VARCHAR(32) NOT NULL,
	claimed_until_ms BIGINT NOT NULL,
	CONSTRAINT pk_webhooks PRIMARY KEY (workspace, name)
)
-- next
CREATE TABLE webhook_cursors (
	workspace VARCHAR(250) NOT NULL,
	webhook VARCHAR(250) NOT NULL,
	chain_kind VARCHAR(20) NOT NULL,
	chain_name VARCHAR(250) NOT NULL,
	sequence INTEGER NOT NULL,
	failures INTEGER NOT NULL,
	next_try_ms BIGINT NOT NULL,
	CONSTRAINT pk_webhook_cursors PRIMARY KEY (workspace, webhook, chain_kind, chain_name),
	CONSTRAINT fk_webhook_cursors_workspace_webhook FOREIGN KEY(workspace, webhook) REFERENCES webhooks (workspace, name)
)
-- next
CREATE TABLE webhook_deliveries (
	workspace VARCHAR(250) NOT NULL,
	webhook VARCHAR(250) NOT NULL,
	event_id VARCHAR(64) NOT NULL,
	number INTEGER NOT NULL,
	chain_kind VARCHAR(20) NOT NULL,
	chain_name VARCHAR(250) NOT NULL,
	sequence INTEGER NOT NULL,
	state VARCHAR(20) NOT NULL,
	status INTEGER,
	error TEXT NOT NULL,
	duration_ms INTEGER NOT NULL,
	at_ms BIGINT NOT NULL,
	CONSTRAINT pk_webhook_deliveries PRIMARY KEY (workspace, webhook, event_id, number),
	CONSTRAINT fk_webhook_deliveries_workspace_webhook FOREIGN KEY(workspace, webhook) REFERENCES webhooks (workspace, name)
)
-- next
CREATE INDEX ix_webhook_deliveries_workspace_at_ms ON webhook_deliveries (workspace, at_ms)
-- next
DROP INDEX ix_runs_experiment_id
-- next
CREATE INDEX ix_runs_experiment_id_started_ms_run_id ON runs (experiment_id, started_ms, run_id)
-- next
CREATE INDEX ix_runs_workspace_started_ms_run_id ON runs (workspace, started_ms, run_id)
-- next
CREATE INDEX ix_runs_workspace_status ON runs (workspace, status)
-- next
CREATE INDEX ix_model_files_sha256 ON model_files (sha256)
-- next
CREATE INDEX ix_run_artifacts_sha256 ON run_artifacts (sha256)
-- next
ALTER TABLE logged_models ADD COLUMN logged_ms BIGINT DEFAULT '0' NOT NULL
-- next
ALTER TABLE inputs ADD COLUMN facts TEXT
-- next
CREATE TABLE retention_policies (
	workspace VARCHAR(250) NOT NULL,
	experiment VARCHAR(250) NOT NULL,
	model VARCHAR(250) NOT NULL,
	keep_last INTEGER,
	keep_days FLOAT,
	actor TEXT NOT NULL,
	set_ms BIGINT NOT NULL,
	CONSTRAINT pk_retention_policies PRIMARY KEY (workspace, experiment, model)
)
-- next
CREATE TABLE condemned_blobs (
	sha256 VARCHAR(64) NOT NULL,
	size_bytes BIGINT NOT NULL,
	state VARCHAR(20) NOT NULL,
	sweep VARCHAR(32) NOT NULL,
	at_ms BIGINT NOT NULL,
	CONSTRAINT pk_condemned_blobs PRIMARY KEY (sha256),
	CONSTRAINT ck_condemned_blobs_known_state CHECK (state IN ('condemned', 'sweeping', 'swept'))
)
-- next
CREATE TABLE collectors (
	name VARCHAR(250) NOT NULL,
	claim VARCHAR(32) NOT NULL,
	claimed_until_ms BIGINT NOT NULL,
	CONSTRAINT pk_collectors PRIMARY KEY (name)
)
-- next
CREATE TABLE gate_declarations (
	workspace VARCHAR(250) NOT NULL,
	model VARCHAR(250) NOT NULL,
	number INTEGER NOT NULL,
	gated BOOLEAN NOT NULL,
	authorization_id VARCHAR(32),
	reason TEXT NOT NULL,
	actor TEXT NOT NULL,
	declared_ms BIGINT NOT NULL,
	CONSTRAINT pk_gate_declarations PRIMARY KEY (workspace, model, number),
	CONSTRAINT fk_gate_declarations_authorization_id FOREIGN KEY(authorization_id) REFERENCES authorizations (authorization_id),
	CONSTRAINT ck_gate_declarations_ungated_is_authorized CHECK (gated = (authorization_id IS NULL))
)
-- next
CREATE TABLE probations (
	workspace VARCHAR(250) NOT NULL,
	model VARCHAR(250) NOT NULL,
	alias VARCHAR(250) NOT NULL,
	generation INTEGER NOT NULL,
	document TEXT NOT NULL,
	state VARCHAR(20) NOT NULL,
	why TEXT NOT NULL,
	started_ms BIGINT NOT NULL,
	ends_ms BIGINT,
	ended_ms BIGINT,
	CONSTRAINT pk_probations PRIMARY KEY (workspace, model, alias, generation),
	CONSTRAINT fk_probations_workspace_model FOREIGN KEY(workspace, model) REFERENCES registered_models (workspace, name),
	CONSTRAINT ck_probations_known_state CHECK (state IN ('open', 'passed', 'failed', 'superseded')),
	CONSTRAINT ck_probations_ended_with_state CHECK ((state = 'open') = (ended_ms IS NULL))
)
-- next
CREATE TABLE probation_judgements (
	workspace VARCHAR(250) NOT NULL,
	model VARCHAR(250) NOT NULL,
	alias VARCHAR(250) NOT NULL,
	generation INTEGER NOT NULL,
	evaluation_id VARCHAR(32) NOT NULL,
	number INTEGER NOT NULL,
	document TEXT NOT NULL,
	judged_ms BIGINT NOT NULL,
	CONSTRAINT pk_probation_judgements PRIMARY KEY (workspace, model, alias, generation, evaluation_id),
	CONSTRAINT fk_probation_judgements_evaluation_id FOREIGN KEY(evaluation_id) REFERENCES evaluations (evaluation_id),
	CONSTRAINT fk_probation_judgements_workspace_model_alias_generation FOREIGN KEY(workspace, model, alias, generation) REFERENCES probations (workspace, model, alias, generation)
)
-- next
CREATE INDEX ix_probation_judgements_evaluation_id ON probation_judgements (evaluation_id)
-- next
ALTER TABLE deleted_models ADD COLUMN purged_ms BIGINT
-- next
CREATE TRIGGER gate_declarations_append_only_update BEFORE UPDATE ON gate_declarations
                BEGIN SELECT RAISE(ABORT, 'declarations of gating are append-only'); END
-- next
CREATE TRIGGER gate_declarations_append_only_delete BEFORE DELETE ON gate_declarations
                BEGIN SELECT RAISE(ABORT, 'declarations of gating are append-only'); END
-- next
CREATE TRIGGER probation_judgements_append_only_update BEFORE UPDATE ON probation_judgements
                BEGIN SELECT RAISE(ABORT, 'judgements of a probation are append-only'); END
-- next
CREATE TRIGGER probation_judgements_append_only_delete BEFORE DELETE ON probation_judgements
                BEGIN SELECT RAISE(ABORT, 'judgements of a probation are append-only'); END
-- next
CREATE TRIGGER runs_kept_0 BEFORE UPDATE ON runs
            WHEN NEW.lifecycle_stage = 'purged' AND OLD.lifecycle_stage <> 'purged'
        AND (EXISTS (SELECT 1 FROM model_versions v WHERE v.run_id = NEW.run_id)
            OR EXISTS (SELECT 1 FROM decisions d WHERE d.run_id = NEW.run_id)) BEGIN SELECT RAISE(ABORT, 'a version or a decision refers to this run'); END
-- next
CREATE TRIGGER runs_kept_1 BEFORE UPDATE ON runs
            WHEN OLD.lifecycle_stage = 'purged' AND NEW.lifecycle_stage <> 'purged' BEGIN SELECT RAISE(ABORT, 'what was purged does not come back'); END
-- next
CREATE TRIGGER model_files_kept_2 BEFORE DELETE ON model_files
            WHEN EXISTS (SELECT 1 FROM model_versions v WHERE v.model_id = OLD.model_id) BEGIN SELECT RAISE(ABORT, 'a version refers to these files'); END
-- next
CREATE INDEX ix_ledger_of_run ON ledger (substr(subject, length(subject) - 33, 32))
-- next
INSERT INTO penstock_schema (version_num) VALUES ('0008')