-- What store/migrations add up to. Made by `make schema`, never by hand; a test proves it.

CREATE FUNCTION public.audit_is_append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END
$$;

CREATE TABLE public.ability (
    id text NOT NULL COLLATE pg_catalog."C",
    skillset_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    description text NOT NULL,
    meta jsonb DEFAULT '{}'::jsonb NOT NULL,
    instruction text NOT NULL,
    secret_id text COLLATE pg_catalog."C",
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ability_meta_check CHECK ((jsonb_typeof(meta) = 'object'::text))
);

CREATE TABLE public.account (
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.api_key (
    id text NOT NULL COLLATE pg_catalog."C",
    account_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    hash bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    revoked_at timestamp with time zone
);

CREATE TABLE public.audit (
    id text NOT NULL COLLATE pg_catalog."C",
    account_id text COLLATE pg_catalog."C",
    type text NOT NULL,
    about jsonb NOT NULL,
    meta jsonb NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT audit_about_check CHECK ((jsonb_typeof(about) = 'object'::text)),
    CONSTRAINT audit_meta_check CHECK ((jsonb_typeof(meta) = 'object'::text))
);

CREATE TABLE public.bot (
    id text NOT NULL COLLATE pg_catalog."C",
    account_id text NOT NULL COLLATE pg_catalog."C",
    name text,
    description text,
    meta jsonb DEFAULT '{}'::jsonb NOT NULL,
    model text,
    backstory text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    alias text COLLATE pg_catalog."C",
    skillset_id text COLLATE pg_catalog."C",
    on_budget text,
    CONSTRAINT bot_alias_check CHECK ((alias ~ '^[a-z0-9_-]{1,128}$'::text)),
    CONSTRAINT bot_meta_check CHECK ((jsonb_typeof(meta) = 'object'::text))
);

CREATE TABLE public.call (
    run_id text NOT NULL COLLATE pg_catalog."C",
    ordinal integer NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    effect text,
    source text,
    channel_id bigint,
    deadline timestamp with time zone,
    last boolean DEFAULT false NOT NULL,
    request_id text NOT NULL COLLATE pg_catalog."C",
    response_id text COLLATE pg_catalog."C",
    nudged_at timestamp with time zone,
    taken bigint,
    CONSTRAINT call_effect_check CHECK ((effect = ANY (ARRAY['idempotent'::text, 'once'::text]))),
    CONSTRAINT call_kind_check CHECK ((kind = ANY (ARRAY['data'::text, 'channel'::text, 'caller'::text, 'ability'::text, 'settle'::text, 'unknown'::text])))
);

CREATE TABLE public.channel (
    id bigint NOT NULL,
    account_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    run_id text COLLATE pg_catalog."C",
    open boolean DEFAULT true NOT NULL,
    deleted boolean DEFAULT false NOT NULL,
    emptied boolean DEFAULT false NOT NULL,
    seq bigint DEFAULT 0 NOT NULL,
    step integer DEFAULT 0 NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    fence bigint DEFAULT 0 NOT NULL,
    n bigint DEFAULT 0 NOT NULL,
    touched_at timestamp with time zone DEFAULT now() NOT NULL,
    closed_at timestamp with time zone,
    taken bigint DEFAULT 0 NOT NULL,
    into_id bigint,
    from_seq bigint,
    CONSTRAINT channel_check CHECK ((open = (closed_at IS NULL))),
    CONSTRAINT channel_into_check CHECK (((into_id IS NULL) = (from_seq IS NULL)))
)
WITH (fillfactor='50');

ALTER TABLE public.channel ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.channel_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.contact (
    id text NOT NULL COLLATE pg_catalog."C",
    account_id text NOT NULL COLLATE pg_catalog."C",
    name text,
    description text,
    meta jsonb DEFAULT '{}'::jsonb NOT NULL,
    fingerprint text NOT NULL,
    email text,
    phone text,
    nick text,
    preferences text,
    verified_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT contact_meta_check CHECK ((jsonb_typeof(meta) = 'object'::text))
);

CREATE TABLE public.conversation (
    id text NOT NULL COLLATE pg_catalog."C",
    account_id text NOT NULL COLLATE pg_catalog."C",
    name text,
    description text,
    meta jsonb DEFAULT '{}'::jsonb NOT NULL,
    bot_id text COLLATE pg_catalog."C",
    contact_id text COLLATE pg_catalog."C",
    model text,
    backstory text,
    on_busy text,
    messages bigint DEFAULT 0 NOT NULL,
    accepted bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    touched_on date DEFAULT ((now() AT TIME ZONE 'UTC'::text))::date NOT NULL,
    skillset_id text COLLATE pg_catalog."C",
    gathers_until timestamp with time zone,
    task_id text COLLATE pg_catalog."C",
    CONSTRAINT conversation_meta_check CHECK ((jsonb_typeof(meta) = 'object'::text)),
    CONSTRAINT conversation_on_busy_check CHECK ((on_busy = ANY (ARRAY['reject'::text, 'enqueue'::text, 'interrupt'::text, 'rollback'::text, 'steer'::text])))
);

CREATE TABLE public.delivery (
    id text NOT NULL COLLATE pg_catalog."C",
    account_id text NOT NULL COLLATE pg_catalog."C",
    target_id text NOT NULL COLLATE pg_catalog."C",
    run_id text COLLATE pg_catalog."C",
    task_id text COLLATE pg_catalog."C",
    trigger_id text COLLATE pg_catalog."C",
    type text NOT NULL,
    body bytea,
    state text DEFAULT 'pending'::text NOT NULL,
    round integer DEFAULT 1 NOT NULL,
    round_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    fence bigint DEFAULT 0 NOT NULL,
    holder text,
    next_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    waits boolean DEFAULT false NOT NULL,
    owed text[],
    error_code text,
    look_at timestamp with time zone,
    looks integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT delivery_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT delivery_check CHECK (((state = 'pending'::text) = (ended_at IS NULL))),
    CONSTRAINT delivery_check1 CHECK (((state <> 'pending'::text) OR (body IS NOT NULL))),
    CONSTRAINT delivery_check2 CHECK (((state = 'pending'::text) = (look_at IS NOT NULL))),
    CONSTRAINT delivery_round_check CHECK ((round > 0)),
    CONSTRAINT delivery_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'delivered'::text, 'dead'::text])))
);

CREATE TABLE public.delivery_attempt (
    delivery_id text NOT NULL COLLATE pg_catalog."C",
    number integer NOT NULL,
    target_id text NOT NULL COLLATE pg_catalog."C",
    round integer NOT NULL,
    begun_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ended_at timestamp with time zone,
    status integer,
    error_code text,
    headers jsonb DEFAULT '{}'::jsonb NOT NULL,
    body text,
    CONSTRAINT delivery_attempt_headers_check CHECK ((jsonb_typeof(headers) = 'object'::text)),
    CONSTRAINT delivery_attempt_number_check CHECK ((number > 0))
);

CREATE TABLE public.event (
    channel_id bigint NOT NULL,
    seq bigint NOT NULL,
    step integer NOT NULL,
    attempt integer NOT NULL,
    type text NOT NULL,
    data text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.execution (
    id text NOT NULL COLLATE pg_catalog."C",
    task_id text NOT NULL COLLATE pg_catalog."C",
    name text,
    description text,
    meta jsonb DEFAULT '{}'::jsonb NOT NULL,
    summary text,
    due_key text COLLATE pg_catalog."C",
    due_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT execution_meta_check CHECK ((jsonb_typeof(meta) = 'object'::text))
);

CREATE TABLE public.idempotency (
    account_id text NOT NULL COLLATE pg_catalog."C",
    route text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    subject text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.message (
    id text NOT NULL COLLATE pg_catalog."C",
    conversation_id text COLLATE pg_catalog."C",
    seq bigint NOT NULL,
    key text NOT NULL,
    type text NOT NULL,
    text text NOT NULL,
    name text,
    description text,
    meta jsonb DEFAULT '{}'::jsonb NOT NULL,
    run_id text COLLATE pg_catalog."C",
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    step integer,
    hidden boolean DEFAULT false NOT NULL,
    CONSTRAINT message_meta_check CHECK ((jsonb_typeof(meta) = 'object'::text)),
    CONSTRAINT message_owned_check CHECK (((conversation_id IS NOT NULL) OR ((run_id IS NOT NULL) AND (step IS NOT NULL)))),
    CONSTRAINT message_type_check CHECK ((type = ANY (ARRAY['user'::text, 'bot'::text, 'reasoning'::text, 'context'::text, 'instruction'::text, 'backstory'::text, 'activity'::text, 'checkpoint'::text])))
);

CREATE TABLE public.message_gone (
    conversation_id text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL
);

CREATE TABLE public.migration (
    name text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.named_channel (
    run_id text NOT NULL COLLATE pg_catalog."C",
    channel_id bigint NOT NULL
);

CREATE TABLE public.occurrence (
    task_id text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    at timestamp with time zone NOT NULL,
    state text NOT NULL,
    reason text,
    run_id text COLLATE pg_catalog."C",
    decided_at timestamp with time zone,
    healed boolean DEFAULT false NOT NULL,
    CONSTRAINT occurrence_check CHECK (((state = 'ran'::text) = (run_id IS NOT NULL))),
    CONSTRAINT occurrence_check1 CHECK (((state = 'skipped'::text) = (reason IS NOT NULL))),
    CONSTRAINT occurrence_check2 CHECK (((state = 'due'::text) = (decided_at IS NULL))),
    CONSTRAINT occurrence_reason_check CHECK ((reason = ANY (ARRAY['overlap'::text, 'limit'::text]))),
    CONSTRAINT occurrence_state_check CHECK ((state = ANY (ARRAY['due'::text, 'ran'::text, 'skipped'::text, 'missed'::text, 'paused'::text, 'excluded'::text])))
);

CREATE TABLE public.origin (
    account_id text NOT NULL COLLATE pg_catalog."C",
    origin text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.rating (
    id text NOT NULL COLLATE pg_catalog."C",
    account_id text NOT NULL COLLATE pg_catalog."C",
    conversation_id text COLLATE pg_catalog."C",
    message_id text COLLATE pg_catalog."C",
    bot_id text COLLATE pg_catalog."C",
    contact_id text COLLATE pg_catalog."C",
    value double precision NOT NULL,
    reason text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT rating_check CHECK (((conversation_id IS NOT NULL) OR (bot_id IS NOT NULL))),
    CONSTRAINT rating_check1 CHECK (((message_id IS NULL) OR (conversation_id IS NOT NULL))),
    CONSTRAINT rating_value_check CHECK ((((value >= ('-100'::integer)::double precision) AND (value <= (100)::double precision)) AND (value <> (0)::double precision)))
);

CREATE TABLE public.run (
    id text NOT NULL COLLATE pg_catalog."C",
    account_id text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL,
    lane text NOT NULL,
    state text DEFAULT 'queued'::text NOT NULL,
    conversation_id text COLLATE pg_catalog."C",
    bot_id text COLLATE pg_catalog."C",
    contact_id text COLLATE pg_catalog."C",
    channel_id bigint NOT NULL,
    workflow_id text NOT NULL,
    accepted_seq bigint,
    begun_seq bigint,
    request text,
    fingerprint bytea NOT NULL,
    keyed boolean NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    admitted_at timestamp with time zone,
    next_look_at timestamp with time zone,
    looks integer DEFAULT 0 NOT NULL,
    begun_at timestamp with time zone,
    ended_at timestamp with time zone,
    untold_at timestamp with time zone,
    end_reason text,
    error_code text,
    error_message text,
    message_id text COLLATE pg_catalog."C",
    input_tokens bigint DEFAULT 0 NOT NULL,
    output_tokens bigint DEFAULT 0 NOT NULL,
    scrub_at timestamp with time zone,
    traceparent text,
    messages smallint DEFAULT 0 NOT NULL,
    parked_at timestamp with time zone,
    outcome text,
    budget bigint,
    wasted_tokens bigint DEFAULT 0 NOT NULL,
    short_at timestamp with time zone,
    begins_at timestamp with time zone,
    joins text COLLATE pg_catalog."C",
    merged_into text COLLATE pg_catalog."C",
    task_id text COLLATE pg_catalog."C",
    ordering_key text COLLATE pg_catalog."C",
    backfilled boolean DEFAULT false NOT NULL,
    last_run_id text COLLATE pg_catalog."C",
    trigger_id text COLLATE pg_catalog."C",
    targets text[],
    CONSTRAINT run_check CHECK (((state = ANY (ARRAY['queued'::text, 'running'::text])) = (ended_at IS NULL))),
    CONSTRAINT run_check1 CHECK (((state <> 'running'::text) OR (begun_at IS NOT NULL))),
    CONSTRAINT run_conversation_check CHECK (((kind = ANY (ARRAY['turn'::text, 'task_run'::text, 'trigger_event'::text])) = (conversation_id IS NOT NULL))),
    CONSTRAINT run_end_reason_check CHECK ((end_reason = ANY (ARRAY['stop'::text, 'length'::text, 'activity'::text, 'iteration'::text, 'abort'::text, 'error'::text]))),
    CONSTRAINT run_joins_check CHECK (((joins IS NULL) OR ((state = 'queued'::text) AND (admitted_at IS NULL)))),
    CONSTRAINT run_kind_check CHECK ((kind = ANY (ARRAY['completion'::text, 'turn'::text, 'ability'::text, 'task_run'::text, 'trigger_event'::text]))),
    CONSTRAINT run_lane_check CHECK ((lane = ANY (ARRAY['interactive'::text, 'background'::text, 'scheduled'::text]))),
    CONSTRAINT run_merged_check CHECK (((state = 'merged'::text) = (merged_into IS NOT NULL))),
    CONSTRAINT run_outcome_check CHECK ((outcome = ANY (ARRAY['success'::text, 'failure'::text]))),
    CONSTRAINT run_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'running'::text, 'succeeded'::text, 'failed'::text, 'canceled'::text, 'interrupted'::text, 'rolled_back'::text, 'merged'::text]))),
    CONSTRAINT run_task_check CHECK (
CASE kind
    WHEN 'task_run'::text THEN (task_id IS NOT NULL)
    WHEN 'trigger_event'::text THEN true
    ELSE (task_id IS NULL)
END),
    CONSTRAINT run_trigger_check CHECK (((kind = 'trigger_event'::text) = (trigger_id IS NOT NULL)))
)
WITH (fillfactor='80');

CREATE TABLE public.secret (
    id text NOT NULL COLLATE pg_catalog."C",
    account_id text NOT NULL COLLATE pg_catalog."C",
    alias text COLLATE pg_catalog."C",
    name text,
    description text,
    meta jsonb DEFAULT '{}'::jsonb NOT NULL,
    type text NOT NULL,
    value bytea,
    key text COLLATE pg_catalog."C",
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT secret_alias_check CHECK ((alias ~ '^[a-z0-9_-]{1,128}$'::text)),
    CONSTRAINT secret_check CHECK (((value IS NULL) = (key IS NULL))),
    CONSTRAINT secret_key_check CHECK ((key ~ '^[0-9a-f]{16}$'::text)),
    CONSTRAINT secret_meta_check CHECK ((jsonb_typeof(meta) = 'object'::text)),
    CONSTRAINT secret_type_check CHECK ((type = ANY (ARRAY['plain'::text, 'bearer'::text, 'basic'::text]))),
    CONSTRAINT secret_value_check CHECK ((octet_length(value) > 28))
);

CREATE TABLE public.session (
    id text NOT NULL COLLATE pg_catalog."C",
    account_id text NOT NULL COLLATE pg_catalog."C",
    conversation_id text NOT NULL COLLATE pg_catalog."C",
    key_id text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.skillset (
    id text NOT NULL COLLATE pg_catalog."C",
    account_id text NOT NULL COLLATE pg_catalog."C",
    alias text COLLATE pg_catalog."C",
    name text,
    description text,
    meta jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT skillset_alias_check CHECK ((alias ~ '^[a-z0-9_-]{1,128}$'::text)),
    CONSTRAINT skillset_meta_check CHECK ((jsonb_typeof(meta) = 'object'::text))
);

CREATE TABLE public.step (
    run_id text NOT NULL COLLATE pg_catalog."C",
    ordinal integer NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    fence bigint NOT NULL,
    holder text NOT NULL,
    attempt integer NOT NULL,
    model text,
    error_code text,
    error_message text,
    input_tokens bigint DEFAULT 0 NOT NULL,
    output_tokens bigint DEFAULT 0 NOT NULL,
    begun_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    failures integer DEFAULT 0 NOT NULL,
    iteration integer DEFAULT 1 NOT NULL,
    reason text,
    carry text,
    CONSTRAINT step_kind_check CHECK ((kind = ANY (ARRAY['model'::text, 'call'::text]))),
    CONSTRAINT step_reason_check CHECK ((reason = ANY (ARRAY['stop'::text, 'length'::text, 'calls'::text]))),
    CONSTRAINT step_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'running'::text, 'done'::text, 'failed'::text])))
);

CREATE TABLE public.target (
    id text NOT NULL COLLATE pg_catalog."C",
    account_id text NOT NULL COLLATE pg_catalog."C",
    task_id text COLLATE pg_catalog."C",
    trigger_id text COLLATE pg_catalog."C",
    said bytea,
    kind text NOT NULL,
    url text,
    headers bytea,
    headers_key text,
    events text[] NOT NULL,
    recipients text[],
    subject text,
    secret bytea,
    secret_key text,
    previous bytea,
    previous_key text,
    previous_until timestamp with time zone,
    failures integer DEFAULT 0 NOT NULL,
    open_until timestamp with time zone,
    disabled_at timestamp with time zone,
    disabled_code text,
    removed_at timestamp with time zone,
    seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT target_check CHECK ((num_nonnulls(task_id, trigger_id, said) = 1)),
    CONSTRAINT target_check1 CHECK (((kind = 'webhook'::text) = (url IS NOT NULL))),
    CONSTRAINT target_check2 CHECK (((kind = 'webhook'::text) = (secret IS NOT NULL))),
    CONSTRAINT target_check3 CHECK (((kind = 'email'::text) = (recipients IS NOT NULL))),
    CONSTRAINT target_check4 CHECK (((secret IS NULL) = (secret_key IS NULL))),
    CONSTRAINT target_check5 CHECK (((headers IS NULL) = (headers_key IS NULL))),
    CONSTRAINT target_check6 CHECK ((((previous IS NULL) = (previous_key IS NULL)) AND ((previous IS NULL) = (previous_until IS NULL)))),
    CONSTRAINT target_check7 CHECK (((disabled_at IS NULL) = (disabled_code IS NULL))),
    CONSTRAINT target_failures_check CHECK ((failures >= 0)),
    CONSTRAINT target_kind_check CHECK ((kind = ANY (ARRAY['webhook'::text, 'email'::text])))
);

CREATE TABLE public.task (
    id text NOT NULL COLLATE pg_catalog."C",
    account_id text NOT NULL COLLATE pg_catalog."C",
    name text,
    description text,
    meta jsonb DEFAULT '{}'::jsonb NOT NULL,
    bot_id text COLLATE pg_catalog."C",
    contact_id text COLLATE pg_catalog."C",
    schedule text,
    timezone text,
    every bigint,
    start_at timestamp with time zone,
    end_at timestamp with time zone,
    overlap text DEFAULT 'skip'::text NOT NULL,
    catchup bigint,
    jitter bigint DEFAULT 0 NOT NULL,
    pause_on_failure boolean DEFAULT false NOT NULL,
    session_duration bigint,
    max_iterations integer,
    max_time bigint,
    max_calls integer,
    expires_at timestamp with time zone,
    paused_at timestamp with time zone,
    note text,
    resumed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    next_at timestamp with time zone,
    session_id text COLLATE pg_catalog."C",
    revision bigint DEFAULT 1 NOT NULL,
    untold_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    trigger_id text COLLATE pg_catalog."C",
    CONSTRAINT task_catchup_check CHECK ((catchup >= 0)),
    CONSTRAINT task_every_check CHECK ((every > 0)),
    CONSTRAINT task_jitter_check CHECK ((jitter >= 0)),
    CONSTRAINT task_max_calls_check CHECK ((max_calls >= 0)),
    CONSTRAINT task_max_iterations_check CHECK ((max_iterations >= 0)),
    CONSTRAINT task_max_time_check CHECK ((max_time >= 0)),
    CONSTRAINT task_meta_check CHECK ((jsonb_typeof(meta) = 'object'::text)),
    CONSTRAINT task_overlap_check CHECK ((overlap = ANY (ARRAY['skip'::text, 'buffer_one'::text, 'buffer_all'::text, 'cancel_other'::text, 'allow_all'::text]))),
    CONSTRAINT task_session_duration_check CHECK ((session_duration >= 0))
);

CREATE TABLE public.task_gone (
    task_id text NOT NULL COLLATE pg_catalog."C",
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE public.token (
    channel_id bigint NOT NULL,
    seq bigint NOT NULL,
    step integer NOT NULL,
    attempt integer NOT NULL,
    type text NOT NULL,
    data text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
)
PARTITION BY RANGE (at);

CREATE TABLE public.trigger (
    id text NOT NULL COLLATE pg_catalog."C",
    account_id text NOT NULL COLLATE pg_catalog."C",
    alias text COLLATE pg_catalog."C",
    name text,
    description text,
    meta jsonb DEFAULT '{}'::jsonb NOT NULL,
    bot_id text COLLATE pg_catalog."C",
    secret bytea NOT NULL,
    secret_key text NOT NULL,
    authenticate boolean DEFAULT true NOT NULL,
    verification jsonb,
    signing bytea,
    signing_key text,
    event_id jsonb,
    ordering_key jsonb,
    session_duration bigint,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT trigger_check CHECK (((signing IS NULL) = (signing_key IS NULL))),
    CONSTRAINT trigger_check1 CHECK (((verification IS NULL) = (signing IS NULL))),
    CONSTRAINT trigger_event_id_check CHECK ((jsonb_typeof(event_id) = 'object'::text)),
    CONSTRAINT trigger_meta_check CHECK ((jsonb_typeof(meta) = 'object'::text)),
    CONSTRAINT trigger_ordering_key_check CHECK ((jsonb_typeof(ordering_key) = 'object'::text)),
    CONSTRAINT trigger_session_duration_check CHECK ((session_duration >= 0)),
    CONSTRAINT trigger_verification_check CHECK ((jsonb_typeof(verification) = 'object'::text))
);

CREATE TABLE public.trigger_event (
    id text NOT NULL COLLATE pg_catalog."C",
    account_id text NOT NULL COLLATE pg_catalog."C",
    trigger_id text NOT NULL COLLATE pg_catalog."C",
    source text NOT NULL,
    method text,
    query jsonb DEFAULT '{}'::jsonb NOT NULL,
    headers jsonb DEFAULT '{}'::jsonb NOT NULL,
    content_type text,
    body bytea,
    size integer NOT NULL,
    digest bytea NOT NULL,
    address text,
    verified text,
    provider_id text,
    once boolean DEFAULT true NOT NULL,
    ordering_key text,
    run_id text COLLATE pg_catalog."C",
    replay_of text COLLATE pg_catalog."C",
    repeats integer DEFAULT 0 NOT NULL,
    received_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT trigger_event_check CHECK (((run_id IS NOT NULL) OR (provider_id IS NOT NULL))),
    CONSTRAINT trigger_event_headers_check CHECK ((jsonb_typeof(headers) = 'object'::text)),
    CONSTRAINT trigger_event_query_check CHECK ((jsonb_typeof(query) = 'object'::text)),
    CONSTRAINT trigger_event_repeats_check CHECK ((repeats >= 0)),
    CONSTRAINT trigger_event_source_check CHECK ((source = ANY (ARRAY['event'::text, 'invoke'::text, 'schedule'::text, 'replay'::text])))
);

CREATE TABLE public.trigger_session (
    trigger_id text NOT NULL COLLATE pg_catalog."C",
    key bytea NOT NULL,
    conversation_id text COLLATE pg_catalog."C",
    begun_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE public.unheard (
    run_id text NOT NULL COLLATE pg_catalog."C",
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE public.usage (
    account_id text NOT NULL COLLATE pg_catalog."C",
    conversation_id text NOT NULL COLLATE pg_catalog."C",
    bot_id text COLLATE pg_catalog."C",
    conversations smallint NOT NULL,
    messages integer NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE public.usage_hour (
    subject text NOT NULL COLLATE pg_catalog."C",
    hour timestamp with time zone NOT NULL,
    tokens bigint NOT NULL,
    conversations bigint NOT NULL,
    messages bigint NOT NULL,
    CONSTRAINT usage_hour_hour_check CHECK ((hour = date_trunc('hour'::text, hour, 'UTC'::text)))
);

ALTER TABLE ONLY public.ability
    ADD CONSTRAINT ability_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.account
    ADD CONSTRAINT account_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_hash_key UNIQUE (hash);

ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);

ALTER TABLE public.bot
    ADD CONSTRAINT bot_on_budget_check CHECK ((on_budget = ANY (ARRAY['wait'::text, 'end'::text]))) NOT VALID;

ALTER TABLE ONLY public.bot
    ADD CONSTRAINT bot_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.call
    ADD CONSTRAINT call_pkey PRIMARY KEY (run_id, ordinal);

ALTER TABLE ONLY public.channel
    ADD CONSTRAINT channel_account_id_name_key UNIQUE (account_id, name);

ALTER TABLE ONLY public.channel
    ADD CONSTRAINT channel_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.contact
    ADD CONSTRAINT contact_account_id_fingerprint_key UNIQUE (account_id, fingerprint);

ALTER TABLE ONLY public.contact
    ADD CONSTRAINT contact_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.conversation
    ADD CONSTRAINT conversation_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.delivery_attempt
    ADD CONSTRAINT delivery_attempt_pkey PRIMARY KEY (delivery_id, number);

ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT delivery_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.event
    ADD CONSTRAINT event_pkey PRIMARY KEY (channel_id, seq);

ALTER TABLE ONLY public.execution
    ADD CONSTRAINT execution_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.idempotency
    ADD CONSTRAINT idempotency_pkey PRIMARY KEY (account_id, route, key);

ALTER TABLE ONLY public.message
    ADD CONSTRAINT message_conversation_id_key_key UNIQUE (conversation_id, key);

ALTER TABLE ONLY public.message
    ADD CONSTRAINT message_conversation_id_seq_key UNIQUE (conversation_id, seq);

ALTER TABLE ONLY public.message_gone
    ADD CONSTRAINT message_gone_pkey PRIMARY KEY (conversation_id, id);

ALTER TABLE ONLY public.message
    ADD CONSTRAINT message_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.named_channel
    ADD CONSTRAINT named_channel_pkey PRIMARY KEY (run_id, channel_id);

ALTER TABLE ONLY public.occurrence
    ADD CONSTRAINT occurrence_pkey PRIMARY KEY (task_id, key);

ALTER TABLE ONLY public.origin
    ADD CONSTRAINT origin_pkey PRIMARY KEY (account_id, origin);

ALTER TABLE ONLY public.rating
    ADD CONSTRAINT rating_pkey PRIMARY KEY (id);

ALTER TABLE public.run
    ADD CONSTRAINT run_budget_check CHECK ((budget > 0)) NOT VALID;

ALTER TABLE ONLY public.run
    ADD CONSTRAINT run_pkey PRIMARY KEY (id);

ALTER TABLE public.run
    ADD CONSTRAINT run_traceparent_check CHECK ((length(traceparent) = 55)) NOT VALID;

ALTER TABLE ONLY public.secret
    ADD CONSTRAINT secret_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.skillset
    ADD CONSTRAINT skillset_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.step
    ADD CONSTRAINT step_pkey PRIMARY KEY (run_id, ordinal);

ALTER TABLE ONLY public.target
    ADD CONSTRAINT target_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.task_gone
    ADD CONSTRAINT task_gone_pkey PRIMARY KEY (task_id);

ALTER TABLE ONLY public.task
    ADD CONSTRAINT task_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.task
    ADD CONSTRAINT task_trigger_id_key UNIQUE (trigger_id);

ALTER TABLE ONLY public.token
    ADD CONSTRAINT token_pkey PRIMARY KEY (channel_id, seq, at);

ALTER TABLE ONLY public.trigger_event
    ADD CONSTRAINT trigger_event_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trigger
    ADD CONSTRAINT trigger_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trigger_session
    ADD CONSTRAINT trigger_session_pkey PRIMARY KEY (trigger_id, key);

ALTER TABLE ONLY public.unheard
    ADD CONSTRAINT unheard_pkey PRIMARY KEY (run_id);

ALTER TABLE ONLY public.usage_hour
    ADD CONSTRAINT usage_hour_pkey PRIMARY KEY (subject, hour);

CREATE INDEX ability_list ON public.ability USING btree (skillset_id, id);

CREATE INDEX api_key_account ON public.api_key USING btree (account_id);

CREATE INDEX audit_age ON public.audit USING btree (at);

CREATE INDEX audit_follow ON public.audit USING btree (account_id, xid, id);

CREATE INDEX audit_list ON public.audit USING btree (account_id, id);

CREATE INDEX audit_refused ON public.audit USING btree (at) WHERE (type = 'key.refused'::text);

CREATE INDEX audit_session_refused ON public.audit USING btree (at) WHERE (type = 'session.refused'::text);

CREATE INDEX audit_trigger_refused ON public.audit USING btree (at) WHERE (type = 'trigger.refused'::text);

CREATE UNIQUE INDEX bot_alias ON public.bot USING btree (account_id, alias) WHERE (alias IS NOT NULL);

CREATE INDEX bot_list ON public.bot USING btree (account_id, id);

CREATE INDEX bot_skillset ON public.bot USING btree (skillset_id) WHERE (skillset_id IS NOT NULL);

CREATE INDEX call_on_channel ON public.call USING btree (channel_id) WHERE ((channel_id IS NOT NULL) AND (response_id IS NULL));

CREATE INDEX channel_closed ON public.channel USING btree (closed_at) WHERE ((closed_at IS NOT NULL) AND (NOT emptied));

CREATE INDEX contact_list ON public.contact USING btree (account_id, id);

CREATE INDEX conversation_bot ON public.conversation USING btree (bot_id) WHERE (bot_id IS NOT NULL);

CREATE INDEX conversation_contact ON public.conversation USING btree (contact_id) WHERE (contact_id IS NOT NULL);

CREATE INDEX conversation_expires ON public.conversation USING btree (expires_at) WHERE (expires_at IS NOT NULL);

CREATE INDEX conversation_list ON public.conversation USING btree (account_id, id);

CREATE INDEX conversation_skillset ON public.conversation USING btree (skillset_id) WHERE (skillset_id IS NOT NULL);

CREATE INDEX conversation_task ON public.conversation USING btree (task_id) WHERE (task_id IS NOT NULL);

CREATE INDEX conversation_touched ON public.conversation USING btree (touched_on);

CREATE INDEX delivery_age ON public.delivery USING btree (ended_at) WHERE (state = 'delivered'::text);

CREATE INDEX delivery_attempt_open ON public.delivery_attempt USING btree (target_id, begun_at) WHERE (ended_at IS NULL);

CREATE INDEX delivery_dead ON public.delivery USING btree (account_id, id) WHERE (state = 'dead'::text);

CREATE INDEX delivery_list ON public.delivery USING btree (account_id, id);

CREATE INDEX delivery_look ON public.delivery USING btree (look_at) WHERE (look_at IS NOT NULL);

CREATE INDEX delivery_look_of ON public.delivery USING btree (target_id, (look_at AT TIME ZONE 'UTC'::text)) WHERE (look_at IS NOT NULL);

CREATE INDEX delivery_run ON public.delivery USING btree (run_id) WHERE (run_id IS NOT NULL);

CREATE INDEX delivery_target ON public.delivery USING btree (target_id, id);

CREATE INDEX delivery_task ON public.delivery USING btree (task_id, id) WHERE (task_id IS NOT NULL);

CREATE INDEX delivery_trigger ON public.delivery USING btree (trigger_id, id) WHERE (trigger_id IS NOT NULL);

CREATE INDEX delivery_waits ON public.delivery USING btree (target_id, id) WHERE ((state = 'pending'::text) AND waits);

CREATE INDEX event_published ON public.event USING btree (at) WHERE (type = 'published'::text);

CREATE INDEX execution_age ON public.execution USING btree (created_at);

CREATE INDEX execution_list ON public.execution USING btree (task_id, id);

CREATE INDEX idempotency_age ON public.idempotency USING btree (created_at);

CREATE UNIQUE INDEX message_of_run ON public.message USING btree (run_id, key) WHERE (step IS NOT NULL);

CREATE INDEX named_channel_runs ON public.named_channel USING btree (channel_id);

CREATE INDEX occurrence_age ON public.occurrence USING btree (GREATEST(at, decided_at)) WHERE (decided_at IS NOT NULL);

CREATE INDEX occurrence_due ON public.occurrence USING btree (task_id, at) WHERE (state = 'due'::text);

CREATE INDEX occurrence_fired ON public.occurrence USING btree (task_id, at, key) WHERE (state = ANY (ARRAY['ran'::text, 'missed'::text]));

CREATE INDEX occurrence_list ON public.occurrence USING btree (task_id, at, key);

CREATE INDEX origin_accounts ON public.origin USING btree (origin);

CREATE INDEX rating_bot ON public.rating USING btree (bot_id) WHERE (bot_id IS NOT NULL);

CREATE INDEX rating_contact ON public.rating USING btree (contact_id) WHERE (contact_id IS NOT NULL);

CREATE INDEX rating_conversation ON public.rating USING btree (conversation_id) WHERE (conversation_id IS NOT NULL);

CREATE INDEX rating_list ON public.rating USING btree (account_id, id);

CREATE INDEX rating_message ON public.rating USING btree (message_id) WHERE (message_id IS NOT NULL);

CREATE INDEX run_active ON public.run USING btree (account_id, lane) WHERE ((admitted_at IS NOT NULL) AND (ended_at IS NULL));

CREATE INDEX run_conversation ON public.run USING btree (conversation_id, created_at) WHERE (conversation_id IS NOT NULL);

CREATE INDEX run_in_line ON public.run USING btree (((lane <> 'interactive'::text)), account_id, ((lane = 'scheduled'::text)), created_at, id) WHERE ((admitted_at IS NULL) AND (ended_at IS NULL));

CREATE INDEX run_in_order ON public.run USING btree (ordering_key, channel_id) WHERE ((ordering_key IS NOT NULL) AND (trigger_id IS NOT NULL) AND (ended_at IS NULL));

CREATE INDEX run_last ON public.run USING btree (last_run_id) WHERE (last_run_id IS NOT NULL);

CREATE INDEX run_list ON public.run USING btree (account_id, id);

CREATE INDEX run_look ON public.run USING btree (next_look_at) WHERE ((admitted_at IS NOT NULL) AND (ended_at IS NULL));

CREATE INDEX run_of_task ON public.run USING btree (task_id, backfilled, channel_id) WHERE ((task_id IS NOT NULL) AND (ended_at IS NULL));

CREATE INDEX run_of_task_failed ON public.run USING btree (task_id, ended_at) WHERE ((task_id IS NOT NULL) AND ((state = 'failed'::text) OR (outcome = 'failure'::text)));

CREATE INDEX run_of_trigger ON public.run USING btree (trigger_id, channel_id) WHERE ((trigger_id IS NOT NULL) AND (ended_at IS NULL));

CREATE UNIQUE INDEX run_one_at_a_time ON public.run USING btree (conversation_id) WHERE ((admitted_at IS NOT NULL) AND (ended_at IS NULL));

CREATE UNIQUE INDEX run_one_in_order ON public.run USING btree (ordering_key) WHERE ((ordering_key IS NOT NULL) AND (admitted_at IS NOT NULL) AND (ended_at IS NULL));

CREATE INDEX run_scrub ON public.run USING btree (scrub_at) WHERE (scrub_at IS NOT NULL);

CREATE INDEX run_served ON public.run USING btree (((lane <> 'interactive'::text)), account_id, admitted_at) WHERE (admitted_at IS NOT NULL);

CREATE INDEX run_targets ON public.run USING gin (targets) WHERE ((targets IS NOT NULL) AND (ended_at IS NULL));

CREATE INDEX run_task ON public.run USING btree (task_id, id) WHERE (task_id IS NOT NULL);

CREATE INDEX run_task_channel ON public.run USING btree (task_id, channel_id) WHERE (task_id IS NOT NULL);

CREATE INDEX run_trigger ON public.run USING btree (trigger_id, id) WHERE (trigger_id IS NOT NULL);

CREATE INDEX run_untold ON public.run USING btree (untold_at) WHERE (untold_at IS NOT NULL);

CREATE INDEX run_usage ON public.run USING btree (account_id, ended_at) INCLUDE (bot_id, input_tokens, output_tokens, messages) WHERE (ended_at IS NOT NULL);

CREATE INDEX run_waiting ON public.run USING btree (conversation_id, accepted_seq) WHERE ((admitted_at IS NULL) AND (ended_at IS NULL));

CREATE UNIQUE INDEX secret_alias ON public.secret USING btree (account_id, alias) WHERE (alias IS NOT NULL);

CREATE INDEX secret_list ON public.secret USING btree (account_id, id);

CREATE INDEX session_conversation ON public.session USING btree (conversation_id);

CREATE INDEX session_expired ON public.session USING btree (expires_at);

CREATE UNIQUE INDEX skillset_alias ON public.skillset USING btree (account_id, alias) WHERE (alias IS NOT NULL);

CREATE INDEX skillset_list ON public.skillset USING btree (account_id, id);

CREATE INDEX target_kept ON public.target USING btree (kind, seen_at) WHERE (said IS NOT NULL);

CREATE INDEX target_list ON public.target USING btree (account_id, id);

CREATE UNIQUE INDEX target_said ON public.target USING btree (account_id, said) WHERE (said IS NOT NULL);

CREATE UNIQUE INDEX target_task ON public.target USING btree (task_id, kind) WHERE (task_id IS NOT NULL);

CREATE UNIQUE INDEX target_trigger ON public.target USING btree (trigger_id, kind) WHERE (trigger_id IS NOT NULL);

CREATE INDEX target_url ON public.target USING btree (account_id, url) WHERE ((said IS NOT NULL) AND (url IS NOT NULL));

CREATE INDEX task_bot ON public.task USING btree (bot_id) WHERE (bot_id IS NOT NULL);

CREATE INDEX task_contact ON public.task USING btree (contact_id) WHERE (contact_id IS NOT NULL);

CREATE INDEX task_expires ON public.task USING btree (expires_at) WHERE (expires_at IS NOT NULL);

CREATE INDEX task_list ON public.task USING btree (account_id, id);

CREATE INDEX task_next ON public.task USING btree (next_at) WHERE (next_at IS NOT NULL);

CREATE INDEX task_untold ON public.task USING btree (untold_at) WHERE (untold_at IS NOT NULL);

CREATE UNIQUE INDEX trigger_alias ON public.trigger USING btree (account_id, alias) WHERE (alias IS NOT NULL);

CREATE INDEX trigger_bot ON public.trigger USING btree (bot_id) WHERE (bot_id IS NOT NULL);

CREATE INDEX trigger_event_age ON public.trigger_event USING btree (received_at);

CREATE INDEX trigger_event_bodies ON public.trigger_event USING btree (received_at) WHERE (body IS NOT NULL);

CREATE INDEX trigger_event_list ON public.trigger_event USING btree (trigger_id, id);

CREATE UNIQUE INDEX trigger_event_once ON public.trigger_event USING btree (trigger_id, provider_id) WHERE ((provider_id IS NOT NULL) AND (run_id IS NOT NULL) AND once);

CREATE UNIQUE INDEX trigger_event_refused ON public.trigger_event USING btree (trigger_id, provider_id, digest) WHERE (run_id IS NULL);

CREATE INDEX trigger_event_run ON public.trigger_event USING btree (run_id) WHERE (run_id IS NOT NULL);

CREATE INDEX trigger_list ON public.trigger USING btree (account_id, id);

CREATE INDEX trigger_session_age ON public.trigger_session USING btree (begun_at);

CREATE INDEX usage_of_account ON public.usage USING btree (account_id, at) INCLUDE (bot_id, conversations, messages);

CREATE INDEX usage_of_conversation ON public.usage USING btree (conversation_id, at) INCLUDE (conversations, messages);

CREATE TRIGGER audit_unchanged BEFORE UPDATE ON public.audit FOR EACH ROW EXECUTE FUNCTION public.audit_is_append_only();

ALTER TABLE ONLY public.ability
    ADD CONSTRAINT ability_skillset_id_fkey FOREIGN KEY (skillset_id) REFERENCES public.skillset(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.bot
    ADD CONSTRAINT bot_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.bot
    ADD CONSTRAINT bot_skillset_id_fkey FOREIGN KEY (skillset_id) REFERENCES public.skillset(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.call
    ADD CONSTRAINT call_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES public.channel(id);

ALTER TABLE ONLY public.call
    ADD CONSTRAINT call_run_id_ordinal_fkey FOREIGN KEY (run_id, ordinal) REFERENCES public.step(run_id, ordinal) ON DELETE CASCADE;

ALTER TABLE ONLY public.channel
    ADD CONSTRAINT channel_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.channel
    ADD CONSTRAINT channel_into_id_fkey FOREIGN KEY (into_id) REFERENCES public.channel(id);

ALTER TABLE ONLY public.contact
    ADD CONSTRAINT contact_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.conversation
    ADD CONSTRAINT conversation_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.conversation
    ADD CONSTRAINT conversation_bot_id_fkey FOREIGN KEY (bot_id) REFERENCES public.bot(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.conversation
    ADD CONSTRAINT conversation_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES public.contact(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.conversation
    ADD CONSTRAINT conversation_skillset_id_fkey FOREIGN KEY (skillset_id) REFERENCES public.skillset(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.conversation
    ADD CONSTRAINT conversation_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.task(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT delivery_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.delivery_attempt
    ADD CONSTRAINT delivery_attempt_delivery_id_fkey FOREIGN KEY (delivery_id) REFERENCES public.delivery(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT delivery_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.run(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT delivery_target_id_fkey FOREIGN KEY (target_id) REFERENCES public.target(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.execution
    ADD CONSTRAINT execution_id_fkey FOREIGN KEY (id) REFERENCES public.run(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.execution
    ADD CONSTRAINT execution_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.task(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.idempotency
    ADD CONSTRAINT idempotency_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.message
    ADD CONSTRAINT message_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES public.conversation(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.message_gone
    ADD CONSTRAINT message_gone_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES public.conversation(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.named_channel
    ADD CONSTRAINT named_channel_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES public.channel(id);

ALTER TABLE ONLY public.named_channel
    ADD CONSTRAINT named_channel_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.run(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.occurrence
    ADD CONSTRAINT occurrence_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.task(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.origin
    ADD CONSTRAINT origin_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.rating
    ADD CONSTRAINT rating_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.rating
    ADD CONSTRAINT rating_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES public.conversation(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.rating
    ADD CONSTRAINT rating_message_id_fkey FOREIGN KEY (message_id) REFERENCES public.message(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.run
    ADD CONSTRAINT run_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.run
    ADD CONSTRAINT run_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES public.channel(id);

ALTER TABLE ONLY public.secret
    ADD CONSTRAINT secret_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES public.conversation(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_key_id_fkey FOREIGN KEY (key_id) REFERENCES public.api_key(id);

ALTER TABLE ONLY public.skillset
    ADD CONSTRAINT skillset_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.step
    ADD CONSTRAINT step_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.run(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.target
    ADD CONSTRAINT target_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.target
    ADD CONSTRAINT target_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.task(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.target
    ADD CONSTRAINT target_trigger_id_fkey FOREIGN KEY (trigger_id) REFERENCES public.trigger(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.task
    ADD CONSTRAINT task_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.task
    ADD CONSTRAINT task_bot_id_fkey FOREIGN KEY (bot_id) REFERENCES public.bot(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.task
    ADD CONSTRAINT task_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES public.contact(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.task
    ADD CONSTRAINT task_trigger_id_fkey FOREIGN KEY (trigger_id) REFERENCES public.trigger(id);

ALTER TABLE ONLY public.trigger
    ADD CONSTRAINT trigger_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.trigger
    ADD CONSTRAINT trigger_bot_id_fkey FOREIGN KEY (bot_id) REFERENCES public.bot(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.trigger_event
    ADD CONSTRAINT trigger_event_trigger_id_fkey FOREIGN KEY (trigger_id) REFERENCES public.trigger(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.trigger_session
    ADD CONSTRAINT trigger_session_trigger_id_fkey FOREIGN KEY (trigger_id) REFERENCES public.trigger(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.unheard
    ADD CONSTRAINT unheard_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.run(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.usage
    ADD CONSTRAINT usage_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);
