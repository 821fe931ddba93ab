package lifecycle;

import org.elasticsearch.cluster.metadata.IndexMetadata;
import org.elasticsearch.cluster.metadata.ItemUsage;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.xpack.core.ilm.RolloverAction;

/** What the stand-in asks of the server: the same in all versions, in other words in each. */
interface Server {
    /** All indices; none unless this node is the master, as only the master carries out policies. */
    Iterable<IndexMetadata> indices();

    String[] indicesNamed(String expression);

    /** What uses a policy: indices and templates. */
    ItemUsage usage(String policy);

    /** Roll over if the policy's conditions are met, as the server's own rollover judges them. */
    void rollOver(String alias, RolloverAction action);

    void set(String index, Settings settings);

    void forceMerge(String index, int segments);

    void delete(String index);
}
