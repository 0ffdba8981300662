// The function app on a Flex Consumption plan, and its settings: docs/settings.md has their table.
param location string
param tags object
param token string
param identityId string
param identityClientId string
param insightsConnectionString string
param workspaceId string
param blobEndpoint string
param queueEndpoint string
param tableEndpoint string
param deploymentContainer string
param vaultUri string
param mailFrom string
param shipsTo string
param sweepSchedule string
param furtherSettings object
param webhooksAreSigned bool
param linksAreSigned bool
param pushIsSet bool
param alertsAreSigned bool
@description('Empty: the orchestrations are kept in the storage account.')
param schedulerEndpoint string
param taskHubName string
@description('Empty: no virtual network.')
param subnetId string
param zoneRedundant bool
param alwaysReadyInstances int
param maximumInstances int

// On Flex Consumption the plan sets FUNCTIONS_WORKER_RUNTIME, and refuses it here.
var settings = {
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  AzureWebJobsStorage__blobServiceUri: blobEndpoint
  AzureWebJobsStorage__queueServiceUri: queueEndpoint
  AzureWebJobsStorage__tableServiceUri: tableEndpoint
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  // An activity holds its thread while Stripe or the mail server answers.
  PYTHON_THREADPOOL_THREAD_COUNT: '32'
  MAIL_FROM: mailFrom
  SHIPS_TO: shipsTo
  SWEEP_SCHEDULE: sweepSchedule
  STRIPE_API_KEY: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/stripe-api-key)'
  SMTP_URL: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/smtp-url)'
  STRIPE_WEBHOOK_SECRET: webhooksAreSigned ? '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/stripe-webhook-secret)' : ''
  TRACKING_SECRET: linksAreSigned ? '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/tracking-secret)' : ''
  PUSH_CONNECTION: pushIsSet ? '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/push-connection)' : ''
  ALERT_WEBHOOK_SECRET: alertsAreSigned ? '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/alert-webhook-secret)' : ''
}
var schedulerSettings = {
  DURABLE_TASK_SCHEDULER_CONNECTION_STRING: 'Endpoint=${schedulerEndpoint};Authentication=ManagedIdentity;ClientID=${identityClientId}'
  TASKHUB_NAME: taskHubName
}

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: 'plan-${token}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

resource site 'Microsoft.Web/sites@2024-11-01' = {
  name: 'func-${token}'
  location: location
  // azd finds the app of the service `api` of azure.yaml by this tag.
  tags: union(tags, { 'azd-service-name': 'api' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${blobEndpoint}${deploymentContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.13'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: 2048
        maximumInstanceCount: maximumInstances
        // HTTP functions and Durable Functions scale apart from each other: each group has its own instances.
        alwaysReady: alwaysReadyInstances == 0 ? [] : [
          {
            name: 'http'
            instanceCount: alwaysReadyInstances
          }
          {
            name: 'durable'
            instanceCount: alwaysReadyInstances
          }
        ]
      }
    }
  }
}

resource appSettings 'Microsoft.Web/sites/config@2024-11-01' = {
  parent: site
  name: 'appsettings'
  properties: union(settings, empty(schedulerEndpoint) ? {} : schedulerSettings, furtherSettings)
}

// A signed-in person publishes code. No password can.
resource ftp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: site
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource scm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: site
  name: 'scm'
  properties: {
    allow: false
  }
}

resource measured 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: site
  properties: {
    workspaceId: workspaceId
    // The log lines are in Application Insights already.
    metrics: [
      {
        category: 'AllMetrics'
        enabled: true
      }
    ]
  }
}

output name string = site.name
output url string = 'https://${site.properties.defaultHostName}'
