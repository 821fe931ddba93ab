"""What the views share: the files of mappings/kibana/, the description of a panel, and HTTP to Kibana and Zoomdata."""
