package lifecycle;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.elasticsearch.ResourceNotFoundException;
import org.elasticsearch.action.admin.indices.rollover.RolloverInfo;
import org.elasticsearch.cluster.metadata.AliasMetadata;
import org.elasticsearch.cluster.metadata.IndexMetadata;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.xcontent.NamedXContentRegistry;
import org.elasticsearch.xcontent.ParseField;
import org.elasticsearch.xcontent.ToXContent;
import org.elasticsearch.xcontent.XContentBuilder;
import org.elasticsearch.xpack.core.ilm.AllocateAction;
import org.elasticsearch.xpack.core.ilm.DeleteAction;
import org.elasticsearch.xpack.core.ilm.ForceMergeAction;
import org.elasticsearch.xpack.core.ilm.LifecycleAction;
import org.elasticsearch.xpack.core.ilm.LifecyclePolicy;
import org.elasticsearch.xpack.core.ilm.LifecyclePolicyMetadata;
import org.elasticsearch.xpack.core.ilm.LifecycleSettings;
import org.elasticsearch.xpack.core.ilm.MigrateAction;
import org.elasticsearch.xpack.core.ilm.Phase;
import org.elasticsearch.xpack.core.ilm.ReadOnlyAction;
import org.elasticsearch.xpack.core.ilm.RolloverAction;
import org.elasticsearch.xpack.core.ilm.SetPriorityAction;
import org.elasticsearch.xpack.core.ilm.ShrinkAction;
import org.elasticsearch.xpack.core.ilm.TimeseriesLifecycleType;

/**
 * A stand-in for Elasticsearch's index lifecycle management, for tests: the servers on Maven Central have its policy
 * classes (in x-pack-core) and lack the module that serves and runs them (x-pack-ilm).
 *
 * <p>Elastic's own: the parser and validation of policies, the settings, the order of phases and actions, what uses a
 * policy, rollover and its conditions.
 *
 * <p>Its own: the routes, and the look at each index once per indices.lifecycle.poll_interval (read at start). Each
 * action is begun once its phase's min_age has passed since the rollover, or the creation where there was none.
 *
 * <p>What it does not do: keep policies across a restart, or on more than one node; keep the policy that an index has
 * begun a phase with (a new one holds at once); retry, move, stop and start; data streams, security. Of the actions it
 * carries out rollover, set_priority, forcemerge, readonly and delete; it takes and skips shrink, allocate and migrate,
 * and refuses others.
 */
final class StandIn {
    private static final TimeseriesLifecycleType TYPE = TimeseriesLifecycleType.INSTANCE;

    /** Where an index is in its policy; error is null unless its step failed. */
    private record Position(String phase, String action, Exception error) {}

    private final Map<String, LifecyclePolicyMetadata> policies = new ConcurrentHashMap<>();
    private final Map<String, Position> positions = new ConcurrentHashMap<>();
    private final Set<String> done = ConcurrentHashMap.newKeySet();
    private final Server server;

    StandIn(Server server) {
        this.server = server;
    }

    /** index.lifecycle.* and indices.lifecycle.*: which ones there are differs from version to version. */
    static List<Setting<?>> settings() {
        List<Setting<?>> found = new ArrayList<>(List.of(RolloverAction.LIFECYCLE_ROLLOVER_ALIAS_SETTING));
        for (var field : LifecycleSettings.class.getFields()) {
            try {
                if (field.get(null) instanceof Setting<?> setting) {
                    found.add(setting);
                }
            } catch (IllegalAccessException impossible) {
                throw new AssertionError(impossible);
            }
        }
        return found;
    }

    static List<NamedXContentRegistry.Entry> actions() {
        return List.of(
            new NamedXContentRegistry.Entry(LifecycleAction.class, new ParseField(AllocateAction.NAME), AllocateAction::parse),
            new NamedXContentRegistry.Entry(LifecycleAction.class, new ParseField(DeleteAction.NAME), DeleteAction::parse),
            new NamedXContentRegistry.Entry(LifecycleAction.class, new ParseField(ForceMergeAction.NAME), ForceMergeAction::parse),
            new NamedXContentRegistry.Entry(LifecycleAction.class, new ParseField(MigrateAction.NAME), MigrateAction::parse),
            new NamedXContentRegistry.Entry(LifecycleAction.class, new ParseField(ReadOnlyAction.NAME), ReadOnlyAction::parse),
            new NamedXContentRegistry.Entry(LifecycleAction.class, new ParseField(RolloverAction.NAME), RolloverAction::parse),
            new NamedXContentRegistry.Entry(LifecycleAction.class, new ParseField(SetPriorityAction.NAME), SetPriorityAction::parse),
            new NamedXContentRegistry.Entry(LifecycleAction.class, new ParseField(ShrinkAction.NAME), ShrinkAction::parse)
        );
    }

    // ---- the routes

    void put(LifecyclePolicy policy, XContentBuilder body) throws IOException {
        LifecyclePolicy.validatePolicyName(policy.getName());
        policies.compute(policy.getName(), (name, held) -> {
            long version = held == null ? 1 : held.getVersion() + 1;
            return new LifecyclePolicyMetadata(policy, Map.of(), version, System.currentTimeMillis());
        });
        acknowledge(body);
    }

    void get(RestRequest request, XContentBuilder body) throws IOException {
        String name = request.param("name");
        Collection<LifecyclePolicyMetadata> asked =
            name == null ? new TreeMap<>(policies).values() : List.of(policy(name));
        body.startObject();
        for (LifecyclePolicyMetadata policy : asked) {
            body.startObject(policy.getName());
            body.field("version", policy.getVersion());
            body.field("modified_date", policy.getModifiedDateString());
            body.field("policy", policy.getPolicy(), ToXContent.EMPTY_PARAMS);
            body.field("in_use_by", server.usage(policy.getName()), ToXContent.EMPTY_PARAMS);
            body.endObject();
        }
        body.endObject();
    }

    void delete(RestRequest request, XContentBuilder body) throws IOException {
        String name = policy(request.param("name")).getName();
        Set<String> indices = server.usage(name).getIndices();
        if (indices != null && indices.isEmpty() == false) { // of what is not in use 8.19 has null
            throw new IllegalArgumentException(
                "Cannot delete policy [" + name + "]. It is in use by one or more indices: " + List.copyOf(indices));
        }
        policies.remove(name);
        acknowledge(body);
    }

    void status(RestRequest request, XContentBuilder body) throws IOException {
        body.startObject().field("operation_mode", "RUNNING").endObject();
    }

    void explain(RestRequest request, XContentBuilder body) throws IOException {
        Set<String> asked = Set.of(server.indicesNamed(request.param("index")));
        body.startObject().startObject("indices");
        for (IndexMetadata index : server.indices()) {
            String name = index.getIndex().getName();
            if (asked.contains(name)) {
                body.startObject(name).field("index", name);
                explain(index, body);
                body.endObject();
            }
        }
        body.endObject().endObject();
    }

    private void explain(IndexMetadata index, XContentBuilder body) throws IOException {
        String policy = policyOf(index);
        body.field("managed", policy != null);
        if (policy == null) {
            return;
        }
        long since = rolledOver(index) == null ? index.getCreationDate() : rolledOver(index).getTime();
        body.field("policy", policy);
        body.field("index_creation_date_millis", index.getCreationDate());
        body.field("lifecycle_date_millis", since);
        body.field("age", TimeValue.timeValueMillis(System.currentTimeMillis() - since).toHumanReadableString(2));
        Position at = positions.get(index.getIndexUUID());
        if (at == null) {
            return;
        }
        String step = at.action().equals(RolloverAction.NAME) ? "check-rollover-ready" : at.action();
        body.field("phase", at.phase()).field("action", at.action());
        body.field("step", at.error() == null ? step : "ERROR");
        if (at.error() != null) {
            body.field("failed_step", step).startObject("step_info");
            body.field("type", "illegal_argument_exception").field("reason", at.error().getMessage()).endObject();
        }
    }

    private LifecyclePolicyMetadata policy(String name) {
        LifecyclePolicyMetadata found = policies.get(name);
        if (found == null) {
            throw new ResourceNotFoundException("Lifecycle policy not found: {}", name);
        }
        return found;
    }

    private static void acknowledge(XContentBuilder body) throws IOException {
        body.startObject().field("acknowledged", true).endObject();
    }

    // ---- what the policies ask for

    /** Look at each index; what fails for one holds up no other and is tried again next time. */
    void poll() {
        for (IndexMetadata index : server.indices()) {
            if (policyOf(index) != null) {
                try {
                    advance(index);
                } catch (Exception error) {
                    positions.compute(index.getIndexUUID(), (uuid, at) -> at == null
                        ? new Position("new", "init", error) : new Position(at.phase(), at.action(), error));
                }
            }
        }
    }

    private void advance(IndexMetadata index) {
        LifecyclePolicyMetadata held = policies.get(policyOf(index));
        if (held == null) {
            throw new IllegalArgumentException("policy [" + policyOf(index) + "] does not exist");
        }
        long since = index.getCreationDate();
        for (Phase phase : TYPE.getOrderedPhases(held.getPolicy().getPhases())) {
            if (System.currentTimeMillis() - since < phase.getMinimumAge().millis()) {
                return;
            }
            for (LifecycleAction action : TYPE.getOrderedActions(phase)) {
                String name = action.getWriteableName();
                positions.put(index.getIndexUUID(), new Position(phase.getName(), name, null));
                if (action instanceof RolloverAction rollover) {
                    RolloverInfo rolledOver = rolledOver(index);
                    if (rolledOver == null) {
                        server.rollOver(rolloverAlias(index), rollover);
                        return;
                    }
                    since = rolledOver.getTime();
                } else {
                    String step = index.getIndexUUID() + "/" + phase.getName() + "/" + name;
                    if (done.contains(step) == false) {
                        carryOut(action, index.getIndex().getName());
                        done.add(step);
                    }
                }
            }
            positions.put(index.getIndexUUID(), new Position(phase.getName(), "complete", null));
        }
    }

    private void carryOut(LifecycleAction action, String index) {
        if (action instanceof DeleteAction) {
            server.delete(index);
        } else if (action instanceof ForceMergeAction merge) {
            server.forceMerge(index, merge.getMaxNumSegments());
        } else if (action instanceof ReadOnlyAction) {
            server.set(index, Settings.builder().put("index.blocks.write", true).build());
        } else if (action instanceof SetPriorityAction priority && priority.getRecoveryPriority() != null) {
            server.set(index, Settings.builder().put("index.priority", priority.getRecoveryPriority()).build());
        }
    }

    private static String policyOf(IndexMetadata index) {
        String name = LifecycleSettings.LIFECYCLE_NAME_SETTING.get(index.getSettings());
        return name.isEmpty() ? null : name;
    }

    private static RolloverInfo rolledOver(IndexMetadata index) {
        return index.getRolloverInfos().get(RolloverAction.LIFECYCLE_ROLLOVER_ALIAS_SETTING.get(index.getSettings()));
    }

    /** The alias to roll over; the conditions and the words of x-pack-core's WaitForRolloverReadyStep. */
    private static String rolloverAlias(IndexMetadata index) {
        String name = index.getIndex().getName();
        String alias = RolloverAction.LIFECYCLE_ROLLOVER_ALIAS_SETTING.get(index.getSettings());
        if (alias.isEmpty()) {
            throw new IllegalArgumentException(
                "setting [index.lifecycle.rollover_alias] for index [" + name + "] is empty or not defined");
        }
        AliasMetadata held = index.getAliases().get(alias);
        if (held == null) {
            throw new IllegalArgumentException(
                "index.lifecycle.rollover_alias [" + alias + "] does not point to index [" + name + "]");
        }
        if (Boolean.FALSE.equals(held.writeIndex())) {
            throw new IllegalArgumentException("index [" + name + "] is not the write index for alias [" + alias + "]");
        }
        return alias;
    }
}
