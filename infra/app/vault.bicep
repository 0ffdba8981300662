// The secrets. An app setting holds the address of a secret, and the app's identity reads it.
// A secret has the name of its setting, with dashes and in lower case.
param location string
param tags object
param name string
param fromTheInternet bool
param purgeProtection bool
param workspaceId string
@secure()
param stripeApiKey string
@secure()
param smtpUrl string
@secure()
param stripeWebhookSecret string
@secure()
param trackingSecret string
@secure()
param pushConnection string
@secure()
param alertWebhookSecret string

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    // The vault takes true or nothing, and never takes true back.
    enablePurgeProtection: purgeProtection ? true : null
    publicNetworkAccess: fromTheInternet ? 'Enabled' : 'Disabled'
    networkAcls: {
      defaultAction: fromTheInternet ? 'Allow' : 'Deny'
      bypass: 'AzureServices'
    }
  }
}

resource stripeKey 'Microsoft.KeyVault/vaults/secrets@2024-11-01' = {
  parent: vault
  name: 'stripe-api-key'
  properties: {
    value: stripeApiKey
  }
}

resource mailServer 'Microsoft.KeyVault/vaults/secrets@2024-11-01' = {
  parent: vault
  name: 'smtp-url'
  properties: {
    value: smtpUrl
  }
}

resource webhookSecret 'Microsoft.KeyVault/vaults/secrets@2024-11-01' = if (!empty(stripeWebhookSecret)) {
  parent: vault
  name: 'stripe-webhook-secret'
  properties: {
    value: stripeWebhookSecret
  }
}

resource trackingKey 'Microsoft.KeyVault/vaults/secrets@2024-11-01' = if (!empty(trackingSecret)) {
  parent: vault
  name: 'tracking-secret'
  properties: {
    value: trackingSecret
  }
}

resource pushHub 'Microsoft.KeyVault/vaults/secrets@2024-11-01' = if (!empty(pushConnection)) {
  parent: vault
  name: 'push-connection'
  properties: {
    value: pushConnection
  }
}

resource alertKey 'Microsoft.KeyVault/vaults/secrets@2024-11-01' = if (!empty(alertWebhookSecret)) {
  parent: vault
  name: 'alert-webhook-secret'
  properties: {
    value: alertWebhookSecret
  }
}

// Who read which secret, and when.
resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: vault
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'AuditEvent'
        enabled: true
      }
    ]
    metrics: [
      {
        category: 'AllMetrics'
        enabled: true
      }
    ]
  }
}

output id string = vault.id
output name string = vault.name
output uri string = vault.properties.vaultUri
